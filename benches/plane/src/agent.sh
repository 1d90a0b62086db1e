#!/bin/sh
# Stands in for the process of an agent: gives its settings to the program that plays all
# agents, and lives until that ends it. A forgotten one ends by itself.
read -r settings
printf '%s' "$settings" > "$PLANE_AGENTS/$$"
exec sleep 1800
