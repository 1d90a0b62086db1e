#!/bin/sh
# Stands in for an agent: keeps the settings it was given in a file of its node's directory,
# where a test finds them and plays the agent, and lives for as long as that file is there.
home=$(dirname "$(readlink "/proc/$$/fd/2")")
life="$home/life.$$"
cat > "$life.new" && mv "$life.new" "$life"
# A forgotten one ends by itself.
looks=6000
while [ -e "$life" ] && [ "$looks" -gt 0 ]; do
    sleep 0.02
    looks=$((looks - 1))
done
