"""Stands in for scikit-build-core while ./setup lets pip download a source distribution.

pip asks a source's build system for its metadata even when it only downloads; this answers from the
PKG-INFO in the archive, so that no build system is fetched and nothing of the source is executed.
"""
import email
import os
import shutil


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    with open("PKG-INFO", encoding="utf-8") as f:
        fields = email.message_from_file(f)
    name = "{}-{}.dist-info".format(fields["Name"].replace("-", "_"), fields["Version"])
    os.makedirs(os.path.join(metadata_directory, name))
    shutil.copyfile("PKG-INFO", os.path.join(metadata_directory, name, "METADATA"))
    return name


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    raise NotImplementedError("download only")
