#!/usr/bin/env bash
# Hold a model file or an engine's version against the base, and say pass, regression or
# inconclusive. Everything comes by variables; see action.yml.
set -euo pipefail

table="$RUNNER_TEMP/rtfbench.md"
rm -f "$table"
common=(--budget "$BUDGET" --max-regression "$MAX_REGRESSION" --comment "$table" --github-summary)

if [ -n "${BASELINE:-}" ]; then
    asked=(gate "--baseline=$BASELINE")
elif [ -n "${MODEL:-}" ]; then
    if [ -z "${BASE_SHA:-}" ]; then
        echo "::error::rtfbench-gate: no base to compare with; run it on pull_request" >&2
        exit 2
    fi
    # A name that is in no commit would be new for ever, and pass.
    if ! git cat-file -e "HEAD:$MODEL" 2>/dev/null || [ ! -f "$MODEL" ]; then
        echo "::error::rtfbench-gate: $MODEL is no file of the repository; name a model from its top" >&2
        exit 2
    fi
    git cat-file -e "$BASE_SHA^{commit}" 2>/dev/null || git fetch --quiet --depth=1 origin "$BASE_SHA"
    if ! git cat-file -e "$BASE_SHA:$MODEL" 2>/dev/null; then
        echo "rtfbench-gate: $MODEL is new, so there is nothing to compare it with" |
            tee -a "$GITHUB_STEP_SUMMARY"
        exit 0
    fi
    # The same name in another folder, so that the tables show what a reader knows. The model's whole
    # folder, since a model may keep its weights in files beside it; checking out turns pointers of
    # Git LFS into files.
    base="$RUNNER_TEMP/base"
    rm -rf "$base" "$RUNNER_TEMP/rtfbench.index"
    export GIT_INDEX_FILE="$RUNNER_TEMP/rtfbench.index"
    git read-tree "$BASE_SHA"
    git ls-files -z -- "$(dirname -- "$MODEL")" | git checkout-index --quiet -z --stdin --prefix="$base/"
    unset GIT_INDEX_FILE
    asked=(compare "--threads=$THREADS" "--chunk-samples=$CHUNK_SAMPLES" -- "$ENGINE:$base/$MODEL" "$ENGINE:$MODEL")
else
    echo "::error::rtfbench-gate: name a model or a baseline" >&2
    exit 2
fi

status=0
"$RTFBENCH" "${asked[0]}" "${common[@]}" "${asked[@]:1}" || status=$?
case "$status" in
0) answer=pass ;;
1) answer=regression ;;
3) answer=inconclusive ;;
*) answer="" ;;
esac
echo "answer=$answer" >>"$GITHUB_OUTPUT"
if [ "$status" -eq 3 ] && [ "${FAIL_ON_INCONCLUSIVE:-false}" != true ]; then
    echo "::warning::rtfbench: this machine cannot tell; the table says which budget would"
    exit 0
fi
exit "$status"
