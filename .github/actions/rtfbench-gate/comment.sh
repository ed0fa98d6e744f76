#!/usr/bin/env bash
# Put the table into one comment of the pull request, the same at every push.
set -euo pipefail

table="$RUNNER_TEMP/rtfbench.md"
marker="<!-- rtfbench-gate -->"
[ -f "$table" ] || exit 0
body="$RUNNER_TEMP/rtfbench-comment.md"
{
    echo "$marker"
    cat "$table"
} >"$body"

comments="repos/$GITHUB_REPOSITORY/issues/$NUMBER/comments"
# A pull request from a fork has a token that only reads: the table is in the job's summary then.
if ! ours=$(gh api --paginate "$comments" \
    --jq ".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$marker\"))) | .id"); then
    echo "::notice::rtfbench: comments cannot be read; the table is in the job's summary"
    exit 0
fi
first=$(head -n 1 <<<"$ours")
if [ -n "$first" ]; then
    written=(--method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$first")
else
    written=(--method POST "$comments")
fi
gh api "${written[@]}" --field "body=@$body" --silent ||
    echo "::notice::rtfbench: no comment may be written; the table is in the job's summary"
