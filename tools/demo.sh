#!/usr/bin/env bash
# make demo: an administrator, a PI, a student and a research group of three states, with the real programs and a real tree, printed step by
# step. Fails if any step does.
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
  for person in admin pi student fl tx ca; do as $person lock >/dev/null 2>&1 || true; done
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

step "three more people: one works with data of Florida, one of Texas, one of California; all of them with federal data"
join() { # a new login, since what was gained counts from then on
  as "$1" logout >/dev/null
  as "$1" login >/dev/null
}
for person in fl tx ca; do
  echo "a passphrase of $person" >"$folder/$person.pass"
  as $person deployment import "$folder/data/deployment.json" --fingerprint "$(first_start "$folder" fingerprint)" >/dev/null
  as $person key new $person >/dev/null
  as $person register >/dev/null
  fingerprint=$(as $person key check --json | sed -nE 's/.*"fingerprint": *"([^"]+)".*/\1/p' | head -n 1)
  as admin users activate $person --fingerprint "$fingerprint" >/dev/null
  as $person login >/dev/null
done
show admin requirement create Training --must-expire --default 365d --maximum 730d
show admin level create CUI --require Training
show admin users permissions pi --give project.create project.create-child project.manage-members project.certify project.declassify

step "a federal project with a project for each state below it; each state asks for a certification, and has its own people"
show pi project create Federal --tag US
for state in Florida Texas California; do show pi project create $state --below Federal --level CUI; done
show pi certification give Training pi fl tx ca
show pi project add Florida fl --above
show pi project add Texas tx --above
show pi project add California ca --above
refuse fl work Florida
for person in pi fl tx ca; do join $person; done
show fl work Florida
show pi project list

step "one group for all, tagged with the federal project; in it a folder for each state, under a key that only its people hold"
show pi group create research fl tx ca
show pi work Federal
show pi tag /@groups/research Federal
echo "the whole country" >"$folder/federal.txt"
show pi put "$folder/federal.txt" /@groups/research
for state in Florida Texas California; do
  show pi work Federal
  show pi mkdir /@groups/research/$state
  show pi work $state
  show pi tag /@groups/research/$state $state
  echo "data of $state" >"$folder/$state.txt"
  show pi put "$folder/$state.txt" /@groups/research/$state/data.txt
done
show pi group show research

step "who works in a state reads its data and the federal data, and combines them there; of the other states they see a name"
show fl ls /@groups/research
show fl cat /@groups/research/Florida/data.txt
show fl cp /@groups/research/federal.txt /@groups/research/Florida/combined.txt
refuse fl cat /@groups/research/Texas/data.txt
refuse fl work Texas
refuse fl cp /@groups/research/Florida/data.txt /@groups/research/leak.txt

step "nobody has two states open at once, the PI neither; and a tag never moves sideways"
refuse pi work Florida Texas
show pi work Texas
refuse pi cat /@groups/research/Florida/data.txt
show pi cat /@groups/research/Texas/data.txt
refuse pi cp /@groups/research/Florida/data.txt /@groups/research/Texas/data2.txt

step "why, and what if"
show pi access explain /@groups/research/Texas fl
show pi access who /@groups/research/Texas
show pi access what-if /@groups/research/Texas --person tx --certification Training

step "somebody leaves the project: their key is worthless, and the next who writes makes another"
show pi project remove Texas tx
refuse tx cat /@groups/research/Texas/data.txt
show pi put "$folder/note.txt" /@groups/research/Texas/after.txt
show pi group show research

step "only a manager of the project takes its tag away"
refuse fl tag /@groups/research/Florida --none
show pi work Florida
show pi tag /@groups/research/Florida/combined.txt Florida
show pi work --none

step "everybody checks the logs; the administrator exports and verifies offline"
show pi audit verify
show admin audit export "$folder/audit"
show admin audit verify --dir "$folder/audit"

step "the operator checks the store"
target/debug/ticrypt-backend --config "$folder/backend.toml" --data "$folder/data" check | sed 's/^/    /'

printf '\nThe demo went through: %s steps.\n' $n
