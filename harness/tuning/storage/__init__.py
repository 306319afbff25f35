"""Folders of sweeps: `sweep_folder` on a disk; `object_store` and its working copies; `workspace` for both."""
