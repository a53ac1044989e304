"""The OCI driver: conmon and crun or runc, bundles, overlays; and a fake that passes the same contract tests."""
