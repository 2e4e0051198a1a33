#!/usr/bin/env bash
# Takes one leaf and its way to the signed root out of a copy of the ledger: bash and coreutils only, nothing of ours.
#
#   prove.sh LEDGER INDEX FOLDER [CHECKPOINT]
#
# LEDGER      a copy of the bucket's ledger/ (C2SP tlog-tiles)
# INDEX       the leaf's place in the log, from 0
# FOLDER      where leaf-INDEX.leaf.json and leaf-INDEX.tlog-proof go
# CHECKPOINT  a file with the checkpoint to prove against: an older one of the same log, such as that of a certificate.
#             Default: LEDGER/checkpoint
#
# It believes nothing and checks nothing: verify.sh does, with the key. Whatever is missing, it names, and exits 1.
set -euo pipefail
export LC_ALL=C

fail() { echo "NOT FOUND: $*" >&2; exit 1; }
[ $# -eq 3 ] || [ $# -eq 4 ] || { echo "usage: prove.sh LEDGER INDEX FOLDER [CHECKPOINT]" >&2; exit 2; }
ledger=$1 index=$2 folder=$3 checkpoint=${4:-$1/checkpoint}
[ -f "$checkpoint" ] || fail "$checkpoint"
mapfile -t lines <"$checkpoint"
size=${lines[1]:-}
[[ $index =~ ^(0|[1-9][0-9]{0,17})$ ]] || fail "INDEX: no number: $index"
[[ $size =~ ^[1-9][0-9]{0,17}$ ]] || fail "$checkpoint: expected a size in its second line"
[ "$index" -lt "$size" ] || fail "leaf $index: the log has $size leaves"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unhex() { printf '%s' "$1" | tr a-f A-F | basenc --base16 -d; }

number() { # 1234067 is x001/x234/067
    local rest=$1 text
    printf -v text '%03d' $((rest % 1000))
    while ((rest = rest / 1000, rest > 0)); do printf -v text 'x%03d/%s' $((rest % 1000)) "$text"; done
    printf '%s' "$text"
}

tile() { # kind or level, tile, how many of its entries are needed: the file, whole or the widest part
    local path="$ledger/tile/$1/$(number "$2")" widest=0 part
    [ ! -f "$path" ] || { printf '%s' "$path"; return; }
    for part in "$path".p/*; do
        [[ ${part##*/} =~ ^[0-9]+$ ]] && ((${part##*/} > widest)) && widest=${part##*/}
    done
    [ "$widest" -ge "$3" ] || fail "$path with $3 entries"
    printf '%s' "$path.p/$widest"
}

declare -A known
read_hash() { # level, number of a hash in it; gives $hash
    local at="$1/$(($2 >> 8))" file
    if [ -z "${known[$at]:-}" ]; then
        file=$(tile "$1" $(($2 >> 8)) $(($2 % 256 + 1)))
        known[$at]=$(od -An -v -tx1 "$file" | tr -d ' \n')
    fi
    hash=${known[$at]:$(($2 % 256 * 64)):64}
    [ ${#hash} -eq 64 ] || fail "hash $2 of level $1"
}

over() { # level, first hash, after the last, what comes behind them or nothing: the hash over all these; gives $hash
    local hashes=() number file pair escaped
    for ((number = $2; number < $3; number++)); do read_hash "$1" "$number"; hashes+=("$hash"); done
    [ -z "$4" ] || hashes+=("$4")
    while [ ${#hashes[@]} -gt 1 ]; do # two by two, all of one height at once; an odd one waits for the next height
        rm -f "$work"/*
        for ((number = 0; number + 1 < ${#hashes[@]}; number += 2)); do
            pair=01${hashes[number]}${hashes[number + 1]} escaped=
            for ((at = 0; at < 130; at += 2)); do escaped+="\\x${pair:at:2}"; done
            printf -v file '%s/%03d' "$work" "$number"
            printf "$escaped" >"$file"
        done
        last=${hashes[-1]} odd=$((${#hashes[@]} % 2))
        mapfile -t hashes < <(sha256sum "$work"/* | cut -d' ' -f1)
        ((odd)) && hashes+=("$last")
    done
    hash=${hashes[0]}
}

range() { # the hash over the leaves from $1 to before $2 (RFC 9162, section 2.1.1), from the highest tiles; gives $hash
    local level=0 from=$1 to=$2 behind=
    while ((to - from >= 256)); do
        if ((to % 256)); then over "$level" $((to - to % 256)) "$to" "$behind"; behind=$hash; fi
        from=$((from / 256)) to=$((to / 256)) level=$((level + 1))
    done
    over "$level" "$from" "$to" "$behind"
}

# --- the leaf: each lies behind its length in two bytes --------------------------------------------------------------
mkdir -p "$folder"
entries=$(tile entries $((index >> 8)) $((index % 256 + 1)))
at=0
for ((skip = index % 256; ; skip--)); do
    read -r high low < <(od -An -v -tu1 -j "$at" -N 2 "$entries") || fail "leaf $index in $entries"
    length=$((high * 256 + low))
    [ "$skip" -gt 0 ] || break
    at=$((at + 2 + length))
done
dd if="$entries" of="$folder/leaf-$index.leaf.json" iflag=skip_bytes,count_bytes skip=$((at + 2)) count="$length" 2>"$work/dd" ||
    fail "leaf $index in $entries: $(cat "$work/dd")"

# --- its siblings on the way up (RFC 9162, section 2.1.3.1) ----------------------------------------------------------
path=() from=0 to=$size
while [ $((to - from)) -gt 1 ]; do
    half=1
    while ((half * 2 < to - from)); do half=$((half * 2)); done
    if [ "$index" -lt $((from + half)) ]; then
        range $((from + half)) "$to"
        to=$((from + half))
    else
        range "$from" $((from + half))
        from=$((from + half))
    fi
    path=("$hash" ${path[@]+"${path[@]}"})
done
{
    printf 'c2sp.org/tlog-proof@v1\nindex %s\n' "$index"
    for hash in ${path[@]+"${path[@]}"}; do unhex "$hash" | base64 -w0; echo; done
    echo
    cat "$checkpoint"
} >"$folder/leaf-$index.tlog-proof"
echo "$folder/leaf-$index.leaf.json, $folder/leaf-$index.tlog-proof"
