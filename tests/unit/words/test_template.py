from __future__ import annotations

import pytest

from crosszone.words import sentence, translated
from crosszone.words.template import Template


def values(english, text):
    return Template.of(english, "").values(text)


def test_values_are_carried_over():
    template = Template.of("Zone links cost {time} of the step.", "占单步 {time}。")
    found = template.values("Zone links cost 69.1 s of the step.")
    assert found == {"time": "69.1 s"}
    assert template.filled(found) == "占单步 69.1 s。"


def test_a_value_is_of_one_sentence_and_no_phrase():
    assert values("{zone} stays.", "beijing-a stays.") == {"zone": "beijing-a"}
    assert values("{zone} stays.", "beijing-a stays. oregon stays.") is None
    assert values("{zone} stays.", "nothing at all stays.") is None
    assert values("{text:any} stays.", "nothing at all stays.") == {"text": "nothing at all"}


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ('new: there is no task "new".', 'new：没有训练任务 "new"。'),
        ('there is no deployment "d".', '没有部署 "d"。'),
        ('there is no zone "z".', '没有可用区 "z"。'),
        (
            "Take another, or change it where that is not so any more.",
            "请另选一个；若情况已变，请修改该环境的记录。",
        ),
    ],
)
def test_nouns_of_what_is_not_there_are_not_left_in_english(english, chinese):
    assert sentence(english, "zh") == chinese


def test_a_kind_that_is_none_is_a_mistake():
    with pytest.raises(KeyError):
        Template.of("{x:numbers}", "{x}")


def test_braces_of_a_job_file_are_no_slots():
    assert values('Write "constraints: {allow: [{word}]}".', 'Write "constraints: {allow: [async]}".') == {
        "word": "async"
    }


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("The best plan takes 20.6 s a step.", "最优方案单步用时 20.6 s。"),
        ("2.45 % slower than the first plan. The job does not allow it.", "比首选方案慢 2.45 %。任务不允许它。"),
        ("Take ddp or fsdp.", "请选用 ddp 或 fsdp。"),
        ("Memory does not fit: 9 GB of 8 GB on stage 0 in a.", "显存放不下：a 的阶段 0 用 9 GB，容量 8 GB。"),
        (
            "Largest losses: recompute 21 %, weight gather 5.77 % of the step.",
            "最大的损耗（占单步）：重计算 21 %、权重聚合 5.77 %。",
        ),
        (
            "Largest losses: recompute 21 %, embedding head loss 6 % of the step.",
            "最大的损耗（占单步）：重计算 21 %，词嵌入、输出头与损失 6 %。",
        ),
        (
            "Write one of none, optimizer, gradients, parameters.",
            "请填以下之一：none、optimizer、gradients、parameters。",
        ),
        (
            "6 of 8 GPUs idle: 2 a100-sxm4-80gb in north, 4 v100-sxm2-16gb in south.",
            "8 张 GPU 中有 6 张闲置：north 的 2 张 a100-sxm4-80gb、south 的 4 张 v100-sxm2-16gb。",
        ),
        ("cluster.links[].mtbf: no outages of zone links.", "cluster.links[].mtbf：假设跨可用区链路不中断。"),
        (
            "no connection to port 29500, where ranks meet: timed out; the other direction works.",
            "无法连接端口 29500（rank 会合处）：超时；反方向可以连接。",
        ),
        (
            "net0 has an MTU of 1300 bytes, but n0 1500; packets above 1300 bytes are lost where no router says so.",
            "net0 的 MTU 为 1300 字节，而 n0 为 1500；若路由器不通知，超过 1300 字节的报文会丢失。",
        ),
        ('the name "a" is taken: env-001 has it.', '名称 "a" 已被 env-001 占用。'),
    ],
)
def test_sentences(english, chinese):
    assert sentence(english, "zh") == chinese


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fits",
        "A sentence that nobody has translated.",
        "The best plan takes 20.6 s a step. A sentence that nobody has translated.",
        "Largest losses: a new term 21 % of the step.",
        "Recompute none instead of full: A sentence that nobody has translated.",
        "One. " * 100,
    ],
)
def test_what_is_not_wholly_known_stays(text):
    assert sentence(text, "zh") is None
    assert translated({"message": text}, "zh") == {"message": text}


def test_only_keys_that_hold_sentences_are_translated():
    text = "No framework has a plan that fits."
    value = {"name": text, "verdict": text, "plans": [{"reasons": [text], "text": text}], "step_seconds": 1.5}
    chinese = sentence(text, "zh")
    assert translated(value, "zh") == {
        "name": text,
        "verdict": chinese,
        "plans": [{"reasons": [chinese], "text": text}],
        "step_seconds": 1.5,
    }


def test_a_citation_has_points_and_is_no_end_of_a_sentence():
    english = "what learns is lora, not all. Source: Hu et al. 2021 (arXiv 2106.09685), sec. 4."
    assert sentence(english, "zh") == "训练的是 lora，而非 all。来源：Hu et al. 2021 (arXiv 2106.09685), sec. 4。"
