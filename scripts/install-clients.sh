#!/usr/bin/env bash
# Installs the programs that tests of the network block device use, and a browser for the pictures of schedules, from
# Debian's packages. Where that cannot be done, or where they are there already, it does nothing: a test whose program is
# missing is skipped, and says so.
set -u
missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
need nbdinfo libnbd-bin
need qemu-io qemu-utils
need nbdkit nbdkit
need fio fio
need fusermount3 fuse3
need mkfs.ext4 e2fsprogs
need openssl openssl
need chromium chromium
if [ "${#missing[@]}" -eq 0 ]; then exit 0; fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true 2>/dev/null; then echo "not installed, since that needs root: ${missing[*]}"; exit 0; fi
  as_root=(sudo -n)
fi
if ! command -v apt-get >/dev/null 2>&1; then echo "not installed, since there is no apt-get: ${missing[*]}"; exit 0; fi
export DEBIAN_FRONTEND=noninteractive
apt() { timeout 180 "${as_root[@]}" apt-get -qq -o DPkg::Lock::Timeout=60 "$@" >/dev/null; }
apt update || true
if ! apt install -y --no-install-recommends "${missing[@]}"; then echo "could not be installed: ${missing[*]}"; fi
