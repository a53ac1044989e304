"""The OCI driver: conmon, crun and runc, bundles, overlays; a fake under the same contract."""
