#!/usr/bin/env bash
# Checks the proof of one deletion record, offline, without call-lifecycle: bash, openssl and coreutils only.
#
#   verify.sh KEY PROOF LEAF [OPENING]
#
# KEY      a file with the ledger's verifier key, or the key itself: <name>+<id>+<base64>. Get it from somebody you
#          trust, not with the proof
# PROOF    leaf-N.tlog-proof (C2SP tlog-proof)
# LEAF     leaf-N.leaf.json, byte for byte
# OPENING  leaf-N.opening.json: which call the leaf speaks of
#
# Exit 0: the key signed a log that has exactly this leaf there. Anything else: it says what does not hold, and exits 1.
set -euo pipefail
export LC_ALL=C

fail() { echo "NOT PROVED: $*" >&2; exit 1; }
[ $# -eq 3 ] || [ $# -eq 4 ] || { echo "usage: verify.sh KEY PROOF LEAF [OPENING]" >&2; exit 2; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
key=$1 proof=$2 leaf=$3 opening=${4:-}
[ ! -f "$key" ] || key=$(cat "$key")

hex() { od -An -v -tx1 "$1" | tr -d ' \n'; }
unhex() { printf '%s' "$1" | tr a-f A-F | basenc --base16 -d; }
sha256() { sha256sum | cut -d' ' -f1; }
node() { { printf '\001'; unhex "$1"; unhex "$2"; } | sha256; }
unbase64() { # canonical base64 only, so that no other text stands for the same bytes
    printf '%s' "$1" | base64 -d >"$work/decoded" 2>/dev/null || fail "$2: no base64"
    [ "$(base64 -w0 "$work/decoded")" = "$1" ] || fail "$2: base64 written in an unusual way"
    hex "$work/decoded"
}
number() { [[ $1 =~ ^(0|[1-9][0-9]{0,17})$ ]] || fail "$2: no number: $1"; }

# --- the key: the id must be that of the name and the key ------------------------------------------------------------
[[ $key =~ ^([^+[:space:]]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$ ]] || fail "KEY: expected <name>+<8 hex digits>+<base64>"
name=${BASH_REMATCH[1]} id=${BASH_REMATCH[2]}
material=$(unbase64 "${BASH_REMATCH[3]}" KEY)
[ "${material:0:2}" = 01 ] && [ ${#material} -eq 66 ] || fail "KEY: expected an Ed25519 key"
found=$({ printf '%s\n' "$name"; unhex "$material"; } | sha256)
[ "${found:0:8}" = "$id" ] || fail "KEY: its id is ${found:0:8}, not $id"

# --- the proof file: head, empty line, checkpoint, empty line, signatures --------------------------------------------
mapfile -t lines <"$proof"
[ "$(printf '%s\n' "${lines[@]}" | sha256)" = "$(sha256 <"$proof")" ] || fail "PROOF: expected lines that each end once"
[ "${lines[0]:-}" = "c2sp.org/tlog-proof@v1" ] || fail "PROOF: expected a tlog-proof"
[[ ${lines[1]:-} == "index "* ]] || fail "PROOF: expected an index"
index=${lines[1]#index }
number "$index" "PROOF, index"
at=2 path=()
while [ -n "${lines[at]:-}" ]; do
    path+=("$(unbase64 "${lines[at]}" "PROOF, line $((at + 1))")")
    [ ${#path[-1]} -eq 64 ] || fail "PROOF, line $((at + 1)): expected a hash of 32 bytes"
    at=$((at + 1))
done
origin=${lines[at + 1]:-} size=${lines[at + 2]:-}
root=$(unbase64 "${lines[at + 3]:-}" "PROOF, root")
[ -n "$origin" ] && [ -z "${lines[at + 4]-x}" ] || fail "PROOF: expected a checkpoint of three lines"
number "$size" "PROOF, size"
[ ${#root} -eq 64 ] || fail "PROOF: expected a root of 32 bytes"

# --- the signature over the checkpoint -------------------------------------------------------------------------------
printf '%s\n' "${lines[@]:at+1:3}" >"$work/text"
{ printf '%b' '-----BEGIN PUBLIC KEY-----\n'
  { unhex 302a300506032b6570032100; unhex "${material:2}"; } | base64
  printf '%b' '-----END PUBLIC KEY-----\n'; } >"$work/key.pem"
signed=
for line in "${lines[@]:at+5}"; do
    [[ $line == $'\xe2\x80\x94 '?*' '?* ]] || fail "PROOF: expected signature lines at the end"
    read -r _ by text more <<<"$line"
    [ -z "$more" ] || fail "PROOF: expected signature lines at the end"
    signature=$(unbase64 "$text" "PROOF, signature of $by")
    [ "$by" = "$name" ] && [ "${signature:0:8}" = "$id" ] || continue
    unhex "${signature:8}" >"$work/signature"
    openssl pkeyutl -verify -pubin -inkey "$work/key.pem" -rawin -in "$work/text" -sigfile "$work/signature" \
        >/dev/null 2>&1 || fail "the signature of $name does not hold"
    signed=yes
done
[ -n "$signed" ] || fail "PROOF: no signature of $name"
[ "$origin" = "$name" ] || fail "PROOF: the log $origin is not the one of the key, $name"

# --- from the leaf to the root (RFC 9162, section 2.1.3.2) -----------------------------------------------------------
[ "$index" -lt "$size" ] || fail "PROOF: leaf $index is not in a log of $size leaves"
hash=$({ printf '\000'; cat "$leaf"; } | sha256)
place=$index last=$((size - 1))
for other in ${path[@]+"${path[@]}"}; do
    [ "$last" -gt 0 ] || fail "PROOF: more hashes than the tree is high"
    if ((place & 1)) || [ "$place" -eq "$last" ]; then
        hash=$(node "$other" "$hash")
        while ((!(place & 1) && place)); do place=$((place >> 1)) last=$((last >> 1)); done
    else
        hash=$(node "$hash" "$other")
    fi
    place=$((place >> 1)) last=$((last >> 1))
done
[ "$last" -eq 0 ] || fail "PROOF: fewer hashes than the tree is high"
[ "$hash" = "$root" ] || fail "the hashes do not lead from this leaf to the signed root"
echo "PROVED: the log $origin of $size leaves, signed with $name+$id, has this leaf at $index:"
cat "$leaf"
echo

# --- which call: SHA-256(source LF id LF salt) is the leaf's `call` --------------------------------------------------
[ -n "$opening" ] || exit 0
text=$(cat "$opening")
[[ $text =~ ^\{\"call_id\":\"([^\"\\]*)\",\"salt\":\"([0-9a-f]{64})\",\"source\":\"([^\"\\]*)\"\}$ ]] ||
    fail "OPENING: expected call_id, salt and source, without escapes; work the digest out by hand (docs/record.md)"
call=${BASH_REMATCH[1]} salt=${BASH_REMATCH[2]} source=${BASH_REMATCH[3]}
digest=$({ printf '%s\n%s\n' "$source" "$call"; unhex "$salt"; } | sha256)
[[ $(cat "$leaf") == *"\"call\":\"$digest\""* ]] || fail "OPENING: it opens another leaf than this one"
echo "OPENED: the leaf speaks of call $call of $source"
