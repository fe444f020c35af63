"""Room ``packaging``: what a server is shipped in.

From a tree of files to a Debian package, without Debian's tools, the same bytes
wherever it is built.  This room must never run the server, nor ask a network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taphouse.lazy import lazy_door

if TYPE_CHECKING:
    from taphouse.packaging.about import About as About
    from taphouse.packaging.about import Part as Part
    from taphouse.packaging.about import SystemPackage as SystemPackage
    from taphouse.packaging.blobs import Blob as Blob
    from taphouse.packaging.blobs import packed_layer as packed_layer
    from taphouse.packaging.control import changelog_text as changelog_text
    from taphouse.packaging.control import control_fields as control_fields
    from taphouse.packaging.control import copyright_text as copyright_text
    from taphouse.packaging.deb import installed_kib as installed_kib
    from taphouse.packaging.deb import write_deb as write_deb
    from taphouse.packaging.debian import architecture_of as architecture_of
    from taphouse.packaging.debian import library_dependencies as library_dependencies
    from taphouse.packaging.debian import python_dependency as python_dependency
    from taphouse.packaging.debian import standard_dependencies as standard_dependencies
    from taphouse.packaging.debianroot import add_debian_root as add_debian_root
    from taphouse.packaging.debreading import control_text as control_text
    from taphouse.packaging.elf import Elf as Elf
    from taphouse.packaging.elf import read_elf as read_elf
    from taphouse.packaging.environment import Environment as Environment
    from taphouse.packaging.environment import is_editable as is_editable
    from taphouse.packaging.fitting import add_accounts as add_accounts
    from taphouse.packaging.fitting import check_libraries as check_libraries
    from taphouse.packaging.fitting import find_interpreter as find_interpreter
    from taphouse.packaging.fitting import installed_packages as installed_packages
    from taphouse.packaging.fitting import laid_over as laid_over
    from taphouse.packaging.gathering import add_distribution as add_distribution
    from taphouse.packaging.gathering import add_module as add_module
    from taphouse.packaging.gathering import compiled_files as compiled_files
    from taphouse.packaging.gathering import find_build_paths as find_build_paths
    from taphouse.packaging.gathering import split_modules as split_modules
    from taphouse.packaging.layout import BaseImage as BaseImage
    from taphouse.packaging.layout import Layout as Layout
    from taphouse.packaging.layout import choose_image as choose_image
    from taphouse.packaging.lintian import lintian_overrides as lintian_overrides
    from taphouse.packaging.maintainer import Upkeep as Upkeep
    from taphouse.packaging.maintainer import maintainer_scripts as maintainer_scripts
    from taphouse.packaging.maintainer import sysusers_text as sysusers_text
    from taphouse.packaging.manifest import manifest_text as manifest_text
    from taphouse.packaging.manpage import conffile_text as conffile_text
    from taphouse.packaging.manpage import man_page as man_page
    from taphouse.packaging.markers import counts as counts
    from taphouse.packaging.markers import marker_values as marker_values
    from taphouse.packaging.markers import normal_name as normal_name
    from taphouse.packaging.markers import parse_requirement as parse_requirement
    from taphouse.packaging.names import account_name as account_name
    from taphouse.packaging.names import check_maintainer as check_maintainer
    from taphouse.packaging.names import check_package_name as check_package_name
    from taphouse.packaging.names import package_name as package_name
    from taphouse.packaging.oci import ImageSettings as ImageSettings
    from taphouse.packaging.oci import NewLayer as NewLayer
    from taphouse.packaging.oci import check_reference as check_reference
    from taphouse.packaging.oci import default_reference as default_reference
    from taphouse.packaging.oci import exposed_ports as exposed_ports
    from taphouse.packaging.oci import oci_architecture as oci_architecture
    from taphouse.packaging.oci import oci_time as oci_time
    from taphouse.packaging.oci import unreachable as unreachable
    from taphouse.packaging.oci import write_image as write_image
    from taphouse.packaging.paragraph import format_paragraph as format_paragraph
    from taphouse.packaging.profiles import PROFILES as PROFILES
    from taphouse.packaging.profiles import choose_profile as choose_profile
    from taphouse.packaging.requirements import Lock as Lock
    from taphouse.packaging.requirements import Locked as Locked
    from taphouse.packaging.requirements import parse_lock as parse_lock
    from taphouse.packaging.requirements import read_lock as read_lock
    from taphouse.packaging.rootfs import Rootfs as Rootfs
    from taphouse.packaging.sbom import bill_of_materials as bill_of_materials
    from taphouse.packaging.sbom import sbom_text as sbom_text
    from taphouse.packaging.sources import PartsSource as PartsSource
    from taphouse.packaging.sources import RunningEnvironment as RunningEnvironment
    from taphouse.packaging.tarball import gzipped as gzipped
    from taphouse.packaging.tarball import write_tar as write_tar
    from taphouse.packaging.target import Target as Target
    from taphouse.packaging.target import make_target as make_target
    from taphouse.packaging.tree import Node as Node
    from taphouse.packaging.tree import Tree as Tree
    from taphouse.packaging.units import UnitSettings as UnitSettings
    from taphouse.packaging.units import make_units as make_units
    from taphouse.packaging.units import settle_profile as settle_profile
    from taphouse.packaging.upgradecheck import upgrade_check_text as upgrade_check_text
    from taphouse.packaging.versions import check_version as check_version
    from taphouse.packaging.versions import compare_versions as compare_versions
    from taphouse.packaging.versions import is_native as is_native
    from taphouse.packaging.versions import without_epoch as without_epoch
    from taphouse.packaging.wheelfile import WheelFile as WheelFile
    from taphouse.packaging.wheelfile import parse_wheel_name as parse_wheel_name
    from taphouse.packaging.wheelhouse import Wheelhouse as Wheelhouse
    from taphouse.packaging.wheels import Wheels as Wheels

__all__ = [
    "PROFILES",
    "About",
    "BaseImage",
    "Blob",
    "Elf",
    "Environment",
    "ImageSettings",
    "Layout",
    "Lock",
    "Locked",
    "NewLayer",
    "Node",
    "Part",
    "PartsSource",
    "Rootfs",
    "RunningEnvironment",
    "SystemPackage",
    "Target",
    "Tree",
    "UnitSettings",
    "Upkeep",
    "WheelFile",
    "Wheelhouse",
    "Wheels",
    "account_name",
    "add_accounts",
    "add_debian_root",
    "add_distribution",
    "add_module",
    "architecture_of",
    "bill_of_materials",
    "changelog_text",
    "check_libraries",
    "check_maintainer",
    "check_package_name",
    "check_reference",
    "check_version",
    "choose_image",
    "choose_profile",
    "compare_versions",
    "compiled_files",
    "conffile_text",
    "control_fields",
    "control_text",
    "copyright_text",
    "counts",
    "default_reference",
    "exposed_ports",
    "find_build_paths",
    "find_interpreter",
    "format_paragraph",
    "gzipped",
    "installed_kib",
    "installed_packages",
    "is_editable",
    "is_native",
    "laid_over",
    "library_dependencies",
    "lintian_overrides",
    "maintainer_scripts",
    "make_target",
    "make_units",
    "man_page",
    "manifest_text",
    "marker_values",
    "normal_name",
    "oci_architecture",
    "oci_time",
    "package_name",
    "packed_layer",
    "parse_lock",
    "parse_requirement",
    "parse_wheel_name",
    "python_dependency",
    "read_elf",
    "read_lock",
    "sbom_text",
    "split_modules",
    "standard_dependencies",
    "settle_profile",
    "sysusers_text",
    "upgrade_check_text",
    "unreachable",
    "without_epoch",
    "write_deb",
    "write_image",
    "write_tar",
]

if not TYPE_CHECKING:  # a type checker knows every name; it should miss the others
    __getattr__ = lazy_door(
        __name__,
        {
            "about": ["About", "Part", "SystemPackage"],
            "blobs": ["Blob", "packed_layer"],
            "control": ["changelog_text", "control_fields", "copyright_text"],
            "deb": ["installed_kib", "write_deb"],
            "debian": [
                "architecture_of",
                "library_dependencies",
                "python_dependency",
                "standard_dependencies",
            ],
            "debianroot": ["add_debian_root"],
            "debreading": ["control_text"],
            "elf": ["Elf", "read_elf"],
            "environment": ["Environment", "is_editable"],
            "fitting": [
                "add_accounts",
                "check_libraries",
                "find_interpreter",
                "installed_packages",
                "laid_over",
            ],
            "gathering": [
                "add_distribution",
                "add_module",
                "compiled_files",
                "find_build_paths",
                "split_modules",
            ],
            "layout": ["BaseImage", "Layout", "choose_image"],
            "lintian": ["lintian_overrides"],
            "maintainer": ["Upkeep", "maintainer_scripts", "sysusers_text"],
            "manifest": ["manifest_text"],
            "manpage": ["conffile_text", "man_page"],
            "markers": ["counts", "marker_values", "normal_name", "parse_requirement"],
            "names": ["account_name", "check_maintainer", "check_package_name", "package_name"],
            "oci": [
                "ImageSettings",
                "NewLayer",
                "check_reference",
                "default_reference",
                "exposed_ports",
                "oci_architecture",
                "oci_time",
                "unreachable",
                "write_image",
            ],
            "paragraph": ["format_paragraph"],
            "profiles": ["PROFILES", "choose_profile"],
            "requirements": ["Lock", "Locked", "parse_lock", "read_lock"],
            "rootfs": ["Rootfs"],
            "sbom": ["bill_of_materials", "sbom_text"],
            "sources": ["PartsSource", "RunningEnvironment"],
            "tarball": ["gzipped", "write_tar"],
            "target": ["Target", "make_target"],
            "tree": ["Node", "Tree"],
            "units": ["UnitSettings", "make_units", "settle_profile"],
            "upgradecheck": ["upgrade_check_text"],
            "versions": ["check_version", "compare_versions", "is_native", "without_epoch"],
            "wheelfile": ["WheelFile", "parse_wheel_name"],
            "wheelhouse": ["Wheelhouse"],
            "wheels": ["Wheels"],
        },
    )
