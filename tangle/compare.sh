#!/usr/bin/env bash
# Wall time of the tangle, in one pass, against noweb's own way of a pass for
# each file (notangle | cpif). Both start with no tree and end with the same.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

seconds() { # command...
	local start=$EPOCHREALTIME
	"$@"
	awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f", b - a }'
}

one_pass() { tangle/tangle . "$scratch/one" >/dev/null; }
file_by_file() {
	local file
	while read -r file; do
		mkdir -p "$scratch/each/$(dirname "$file")"
		# notangle complains of chunks that are still to come, but writes the rest.
		{ notangle -t8 -R"$file" chapters/*.nw 2>/dev/null || true; } | cpif "$scratch/each/$file"
	done <"$scratch/files"
}

one=$(seconds one_pass)
second=$(seconds one_pass)
# All that was tangled, but not the plain headers of inc/.
sed 's/^[^ ]*  //' "$scratch/one/.tangled" | while read -r file; do
	if [ ! -e "$file" ]; then echo "$file"; fi
done >"$scratch/files"
each=$(seconds file_by_file)
files=$(wc -l <"$scratch/files")

printf '%-44s %6s s\n' "tangle, one pass, $files files" "$one" \
	"tangle again, nothing changed" "$second" \
	"notangle | cpif, a pass for each file" "$each"
while read -r file; do
	diff -Z "$scratch/one/$file" "$scratch/each/$file"
done <"$scratch/files"
