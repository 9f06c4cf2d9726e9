"""GPU names and network texts as papers and READMEs write them."""

import pytest

from crosszone.errors import SpecError
from crosszone.verify.hardware import catalog_name, gpu_of, network_text, site_of


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A100-SXM4-80GB", "a100-sxm4-80gb"),
        ("A100-SXM4-40GB (DGX-A100)", "a100-sxm4-40gb"),
        ("H100-96GB-HBM2e (500W, Grand Teton)", "h100-sxm5-96gb-hbm2e"),
        ("H100-SXM5-80GB", "h100-sxm5-80gb"),
        ("GB200-NVL72", "gb200-nvl72"),
        ("GB300-NVL72", "gb300-nvl72"),
        ("B300-SXM", "b300-sxm-288gb"),
        ("B200-SXM (power limited)", "b200-sxm-180gb"),
        ("V100-SXM2-32GB", "v100-sxm2-32gb"),
        ("V100-SXM3-32GB (DGX-2)", "v100-sxm3-32gb"),
        ("MI355X-288GB", "mi355x-288gb"),
        ("NVIDIA A100 80GB PCIe", "a100-pcie-80gb"),
        ("NVIDIA H100 80GB HBM3", "h100-sxm5-80gb"),
        ("A100 40GB", "a100-sxm4-40gb"),
        ("V100 32GB SXM2", "v100-sxm2-32gb"),
        ("8x A100", "a100-sxm4-80gb"),
        ("GH-96x16", "gh200-96gb"),
        ("RTX 4090", "rtx-4090-24gb"),
        ("NVIDIA GeForce RTX 3090 24 GB", "rtx-3090-24gb"),
    ],
)
def test_names_match_by_family_form_factor_and_memory(text, name) -> None:
    assert catalog_name(text) == name


@pytest.mark.parametrize("text", ["TPU v4", "H100-NVL-94GB", "A100-SXM4-96GB", "accelerator", "(A100)"])
def test_what_the_catalog_lacks_matches_nothing(text) -> None:
    assert catalog_name(text) is None


def test_an_unknown_gpu_is_told_by_name(make_row) -> None:
    with pytest.raises(SpecError, match='no GPU like "TPU v4"'):
        gpu_of(make_row(gpu="TPU v4"))


def test_a_blank_gpu_is_told(make_row) -> None:
    with pytest.raises(SpecError, match="gpu is blank"):
        gpu_of(make_row(gpu=""))


def test_gpus_of_several_kinds_are_not_one_row(make_row) -> None:
    with pytest.raises(SpecError, match="several kinds"):
        gpu_of(make_row(gpu="RTX-3090x8; RTX-2080x16"))


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("8x200Gb HDR IB per node (Selene)", "8x200 Gbit/s"),
        ("4x Omni-Path 100Gb/s per node, NVLink in node", "4x100 Gbit/s"),
        ("400 Gb/s RDMA per GPU", "8x400 Gbit/s"),
        ("NVLink5 8-GPU; 800Gb/s per GPU (not stated)", "8x800 Gbit/s"),
        ("2 Tb/s RoCE per host", "1x2 Tbit/s"),
        ("400 Gbps per node", "1x400 Gbit/s"),
        ("8x200Gb RoCE (1600 Gbps node-node)", "8x200 Gbit/s"),
        ("DGX H100 (8x400Gb NDR IB; not printed)", "8x400 Gbit/s"),
        ("IB between nodes (8x400Gb); NVLink 160GB/s", "8x400 Gbit/s"),
    ],
)
def test_network_texts(text, network) -> None:
    assert network_text(text, 8) == network


@pytest.mark.parametrize("text", ["", "not stated", "NVLink", "NVLink 160GB/s", "NVL72 NVLink5 domain of 72", "xGMI"])
def test_texts_that_say_nothing_of_the_network(text) -> None:
    assert network_text(text, 8) is None


def test_a_stated_network_is_the_nodes_and_is_not_assumed(make_row) -> None:
    row = make_row(network="8x200Gb HDR IB per node")
    group = site_of(row, gpu_of(row), 256).cluster.zones[0].node_groups[0]
    assert (group.num_nodes, group.gpus_per_node, group.num_rails) == (32, 8, 8)
    assert group.network_bytes_per_second == 8 * 200e9 / 8
    assert not any(text.startswith("network") for text in row.assumed)


def test_a_blank_network_is_the_standard_systems_and_says_so(make_row) -> None:
    row = make_row(network="")
    group = site_of(row, gpu_of(row), 256).cluster.zones[0].node_groups[0]
    assert group.network_bytes_per_second == gpu_of(row).system_network_bytes_per_second
    assert any(text.startswith("network: 8x200 Gbit/s, as the standard system") for text in row.assumed)


def test_a_network_that_the_source_did_not_print_is_used_and_marked(make_row) -> None:
    row = make_row(network="8x400Gb IB (not stated)")
    assert site_of(row, gpu_of(row), 16).cluster.zones[0].node_groups[0].network_bytes_per_second == 400e9
    assert any(text.startswith("network 8x400 Gbit/s") for text in row.assumed)


def test_a_few_gpus_are_one_small_node(make_row) -> None:
    row = make_row()
    group = site_of(row, gpu_of(row), 2).cluster.zones[0].node_groups[0]
    assert (group.num_nodes, group.gpus_per_node, group.fabric.num_gpus) == (1, 2, 2)


def test_gpus_that_do_not_fill_their_nodes_are_spread_and_say_so(make_row) -> None:
    row = make_row()
    group = site_of(row, gpu_of(row), 12).cluster.zones[0].node_groups[0]
    assert (group.num_nodes, group.gpus_per_node) == (3, 4)
    assert "gpus_per_node 4: 12 GPUs do not fill nodes of 8." in row.assumed


def test_a_fabric_may_reach_beyond_the_node(make_row) -> None:
    row = make_row(gpu="GB200-NVL72", gpus_per_node="4", network="")
    group = site_of(row, gpu_of(row), 64).cluster.zones[0].node_groups[0]
    assert (group.gpus_per_node, group.fabric.num_gpus) == (4, 64)


def test_a_gpu_without_known_fabric_gets_pcie_and_says_so(make_row) -> None:
    row = make_row(gpu="GH-96x16", gpus_per_node="4", network="")
    group = site_of(row, gpu_of(row), 16).cluster.zones[0].node_groups[0]
    assert group.fabric.bytes_per_second == 63e9
    assert any(text.startswith("fabric 63 GB/s") for text in row.assumed)


def test_blank_gpus_per_node_is_that_of_the_standard_system(make_row) -> None:
    row = make_row(gpus_per_node="")
    assert site_of(row, gpu_of(row), 64).cluster.zones[0].node_groups[0].gpus_per_node == 8
    assert any(text.startswith("gpus_per_node 8") for text in row.assumed)


def test_more_gpus_than_exist_are_refused(make_row) -> None:
    row = make_row()
    with pytest.raises(SpecError, match="at most 10000000"):
        site_of(row, gpu_of(row), 10**9)
