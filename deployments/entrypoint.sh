#!/bin/sh
# Starts a container's command without its empty variables: a work pool passes a name that is not set on as an empty
# one, and a library that only looks whether a key is there would take it for one.
for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=$/\1/p'); do
  unset "$name"
done
exec "$@"
