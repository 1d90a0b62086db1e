#!/bin/sh
# Counts the words of a text file and uploads the most frequent ones as a blob.
#
#   task.sh FILE COUNT URL
#
# URL is where the result goes, with a shared access signature that allows to write there.
# $KILN_PROGRAM is the HTTP client: a node has this program when it has nothing else.
set -eu

file=$1 count=$2 url=$3
result=$(basename "$file" .txt)_OUTPUT.txt

tr -cs '[:alpha:]' '\n' <"$file" |
    tr '[:upper:]' '[:lower:]' |
    awk 'length > 3' |
    sort | uniq -c |
    sort -k1,1nr -k2,2 |
    head -n "$count" |
    awk '{ printf "%s %s\n", $2, $1 }' >"$result"

{
    echo "------------------------------"
    echo "Node: $AZ_BATCH_NODE_ID"
    echo "Task: $AZ_BATCH_TASK_ID"
    echo "Job:  $AZ_BATCH_JOB_ID"
    echo "Pool: $AZ_BATCH_POOL_ID"
} >>"$result"

"${KILN_PROGRAM:-kiln}" blob put "$result" "$url"
