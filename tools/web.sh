#!/usr/bin/env bash
# Fetches the packages of the page, checks their hashes, and unpacks what is taken of them into connect/packages. Quick when they are there.
set -euo pipefail
cd "$(dirname "$0")/.."
lock=connect/web/packages.lock
into=connect/packages
registry=${NPM_REGISTRY:-https://registry.npmjs.org}

stamp=$(sha256sum "$lock" | cut -d' ' -f1)
[ "$(cat "$into/.stamp" 2>/dev/null)" = "$stamp" ] && exit 0

new=$into.new
rm -rf "$new"
mkdir -p "$new"
while read -r name version hash paths; do
  case $name in '' | '#'*) continue ;; esac
  archive=$new/.archive.tgz
  echo "setup: fetching $name $version"
  curl -fsSL --retry 3 -o "$archive" "$registry/$name/-/${name##*/}-$version.tgz"
  found=$(openssl dgst -sha512 -binary "$archive" | base64 -w0)
  [ "$found" = "$hash" ] || { echo "setup: $name $version is not what connect/web/packages.lock says (sha512 $found)" >&2; exit 1; }
  folder=$new/${name##*/}
  mkdir -p "$folder"
  # shellcheck disable=SC2086 # several paths
  tar -xzf "$archive" -C "$folder" --strip-components=1 --no-same-owner $(printf 'package/%s ' $paths)
  rm "$archive"
done <"$lock"
echo "$stamp" >"$new/.stamp"
rm -rf "$into"
mv "$new" "$into"
