#!/usr/bin/env bash
# make demo: two people and an administrator, with the real programs and a real tree, printed step by step. Fails if any step does.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/system.sh
tree=${DEMO_TREE:-/usr/share/doc}

echo "building"
cargo build --quiet --locked --workspace --bins
folder=$(mktemp -d --suffix=.ticrypt-demo)
ticrypt=$PWD/target/debug/ticrypt

as() { # as PERSON arguments…: the command line on that person's device
  local person=$1
  shift
  "$ticrypt" --home "$folder/$person" --passphrase-file "$folder/$person.pass" "$@"
}
finish() {
  local status=$?
  for person in admin pi student; do as $person lock >/dev/null 2>&1 || true; done
  stop_system "$folder"
  if [ $status = 0 ]; then rm -rf "$folder"; else echo "the demo failed; what it made is in $folder"; fi
}
trap finish EXIT

n=0
step() { n=$((n + 1)); printf '\n%2d. %s\n' $n "$*"; }
show() { printf '    $ ticrypt'; printf ' %q' "${@:2}"; printf '   (%s)\n' "$1"; as "$@" 2>&1 | sed 's/^/      /'; }
refuse() { # the same, but it must fail
  printf '    $ ticrypt'; printf ' %q' "${@:2}"; printf '   (%s)\n' "$1"
  if as "$@" >"$folder/refused" 2>&1; then sed 's/^/      /' "$folder/refused"; echo "this had to be refused"; return 1; fi
  sed 's/^/      /' "$folder/refused"
}

free() { python3 - <<'PY' 2>/dev/null || echo $((20000 + RANDOM))
import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])
PY
}

step "a backend and a witness start; the first start makes a deployment file and a one-time code"
start_system "$folder" "$(free)" "$(free)" "$(free)"
fingerprint=$(first_start "$folder" fingerprint)
echo "    fingerprint of the deployment file, to be compared out of band: $fingerprint"

step "three people take in the deployment file and make their keys"
for person in admin pi student; do
  echo "a passphrase of $person" >"$folder/$person.pass"
  show $person deployment import "$folder/data/deployment.json" --fingerprint "$fingerprint"
  show $person key new $person
done

step "the administrator registers with the one-time code; the others wait to be activated"
show admin register --code "$(first_start "$folder" 'one-time code')"
show pi register
show student register
show admin login
refuse pi login

step "the administrator compares fingerprints and activates"
for person in pi student; do
  fingerprint=$(as $person key check --json | sed -nE 's/.*"fingerprint": *"([^"]+)".*/\1/p' | head -n 1)
  show admin users activate $person --fingerprint "$fingerprint"
  show $person login
done

step "a real tree goes into the vault: $(find "$tree" -type f | wc -l) files below $tree"
show pi put "$tree" /docs
show pi du -d 0 /docs
show pi ls / -l

step "the student sees nothing of it until it is shared"
refuse student ls /@shared/pi/docs
show pi share /docs student
show student shares
show student get /@shared/pi/docs "$folder/back"

step "what came back is what was put in"
# Links are recorded and reported, never made on the student's machine; everything else must be equal.
(cd "$tree" && find . -type f -print0 | sort -z | xargs -0 sha256sum) >"$folder/before"
(cd "$folder/back" && find . -type f -print0 | sort -z | xargs -0 sha256sum) >"$folder/after"
cmp "$folder/before" "$folder/after"
echo "    $(wc -l <"$folder/after") files, all equal"

step "the student may read, not write; then may, and both see the history"
echo "measured today" >"$folder/note.txt"
refuse student put "$folder/note.txt" /@shared/pi/docs/note.txt
show pi share /docs student --edit
show student put "$folder/note.txt" /@shared/pi/docs/note.txt
echo "measured again" >"$folder/note.txt"
show pi put --force "$folder/note.txt" /docs/note.txt
show pi versions list /docs/note.txt
show pi cat /docs/note.txt
show pi log /docs/note.txt

step "trash and back"
show pi rm /docs/note.txt
refuse pi cat /docs/note.txt
show pi trash list
show pi trash restore /docs/note.txt
show pi cat /docs/note.txt

step "the share ends: new keys are made, the student is out"
show pi unshare /docs student
refuse student ls /@shared/pi/docs
show pi put "$folder/note.txt" /docs/after.txt

step "everybody checks the logs; the administrator exports and verifies offline"
show pi audit verify
show admin audit export "$folder/audit"
show admin audit verify --dir "$folder/audit"

step "the operator checks the store"
target/debug/ticrypt-backend --config "$folder/backend.toml" --data "$folder/data" check | sed 's/^/    /'

printf '\nThe demo went through: %s steps.\n' $n
