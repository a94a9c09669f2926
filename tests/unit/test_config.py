"""Configuration: where settings come from, and all faults at once without a value in sight."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from node.config import (
    ROLES,
    ConfigFaults,
    IssuerConfig,
    ServerSettings,
    VerifierConfig,
    check_config,
    describe,
    load_config,
    parse_duration,
)
from node.core.errors import Misconfigured


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("BONAFIDES_ISSUER_", "BONAFIDES_VERIFIER_")):
            monkeypatch.delenv(name)


_KEY = "z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH"


def test_a_checkpoint_file_at_a_url_asks_its_mirror() -> None:
    config = load_config(
        VerifierConfig, checkpoint="https://a.example/c.json", checkpoint_key=(_KEY, f"did:key:{_KEY}")
    )
    assert (config.reach, config.checkpoint_file) == ("mirror", None)
    assert len(set(config.mirror_keys)) == 1
    assert load_config(VerifierConfig, checkpoint=__file__).checkpoint_url is None


def test_defaults_are_safe_and_local() -> None:
    for role in (IssuerConfig, VerifierConfig):
        config = load_config(role)
        assert config.host == "127.0.0.1"
        assert not config.development
        assert config.rpc == ()
    verifier = load_config(VerifierConfig)
    assert (verifier.reach, verifier.policy, verifier.max_header_age) == ("offline", "strict", 86_400)
    assert verifier.compromise == "fail"
    assert load_config(IssuerConfig).database_url.endswith("/issuer/issuer.db")


def test_options_come_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONAFIDES_ISSUER_PORT", "9001")
    monkeypatch.setenv("BONAFIDES_ISSUER_PASSPHRASE_FILE", __file__)
    monkeypatch.setenv("BONAFIDES_ISSUER_RPC", "")
    config = load_config(IssuerConfig, port=None, host="::1")
    assert (config.port, config.passphrase_file, config.rpc) == (9001, Path(__file__), ())
    assert load_config(IssuerConfig, port=9002).port == 9002
    public_url = load_config(IssuerConfig, public_url="https://school.example/a/").public_url
    assert public_url == "https://school.example/a"


def test_a_configuration_is_frozen() -> None:
    config = load_config(IssuerConfig)
    with pytest.raises(ValidationError):
        config.port = 1  # type: ignore[misc]


def test_all_faults_at_once_and_no_values(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BONAFIDES_VERIFIER_PORT", "hunter2")
    monkeypatch.setenv("BONAFIDES_VERIFIER_POLICY", "hunter2")
    monkeypatch.setenv("BONAFIDES_VERIFIER_MAX_HEADER_AGE", "a day")
    monkeypatch.setenv("BONAFIDES_VERIFIER_TRUST", str(tmp_path / "hunter2"))
    monkeypatch.setenv("BONAFIDES_VERIFIER_POLICI", "strict")
    monkeypatch.setenv("BONAFIDES_VERIFIER_SERVE_HOST", "click's own")
    found = check_config("verifier", rpc="ftp://hunter2", public_url="https://user:hunter2@example.org")
    assert found == [
        "BONAFIDES_VERIFIER_PORT: input should be a valid integer, unable to parse string as an integer",
        "--url: must be a URL without user, query and fragment",
        "--rpc: an endpoint is written as URL or OPERATOR=URL, the URL beginning with http",
        "BONAFIDES_VERIFIER_POLICY: input should be 'strict', 'any-issuer-unsafe' or 'signature-only-unsafe'",
        "BONAFIDES_VERIFIER_TRUST: names no file",
        "BONAFIDES_VERIFIER_MAX_HEADER_AGE: a duration is a number and one of s, m, h, d: 24h",
        "BONAFIDES_VERIFIER_POLICI: no such setting",
    ]
    assert "hunter2" not in " ".join(found)


@pytest.mark.parametrize(
    ("role", "options", "expected"),
    [
        ("verifier", {"mode": "chain"}, "--mode chain needs --rpc"),
        ("verifier", {"follow": True}, "--follow needs --rpc, and another --mode than offline"),
        ("verifier", {"checkpoint": "no such file"}, "--checkpoint: names no file"),
        (
            "verifier",
            {"checkpoint": "https://a.example/c.json"},
            "--checkpoint at a URL needs --checkpoint-key",
        ),
        (
            "verifier",
            {"checkpoint": "http://a.example/c.json", "checkpoint_key": _KEY},
            "--checkpoint is fetched from an https URL",
        ),
        (
            "verifier",
            {"checkpoint": "https://a.example/c.json", "checkpoint_key": f"{_KEY} did:web:x"},
            "--checkpoint-key: ",
        ),
        (
            "verifier",
            {"checkpoint": "https://a.example/c.json", "checkpoint_key": _KEY, "mode": "offline"},
            "--checkpoint at a URL needs --mode mirror",
        ),
        (
            "verifier",
            {"rpc": "http://a.example http://b.example", "agree": 1},
            "BONAFIDES_VERIFIER_*: 1 of 2 operators cannot be asked for",
        ),
        (
            "verifier",
            {"follow_domains": True, "trust": __file__},
            "--follow-domains needs --follow, and --trust",
        ),
        (
            "verifier",
            {"follow_domains": True, "follow": True, "rpc": "http://a.example"},
            "--follow-domains needs --follow, and --trust",
        ),
        (
            "verifier",
            {"challenge_seconds": "6m"},
            "--challenge-seconds: input should be less than or equal to 300",
        ),
        ("issuer", {"tls_cert": __file__}, "--tls-cert and --tls-key are given together"),
        ("issuer", {"public_url": "https://[x"}, "--url: must be an http or https URL"),
        ("issuer", {"rpc": "http://h:99999"}, "--rpc: an endpoint is written as URL"),
        (
            "verifier",
            {"max_open_requests": 0},
            "--max-open-requests: input should be greater than or equal to 1",
        ),
        ("issuer", {"token_seconds": 60}, "--token-seconds: extra inputs are not permitted"),
        ("issuer", {"colour": "red"}, "--colour: extra inputs are not permitted"),
    ],
)
def test_single_faults(role: str, options: dict[str, object], expected: str) -> None:
    (found,) = check_config(role, **options)
    assert found.startswith(expected)
    with pytest.raises(ConfigFaults):
        load_config(ROLES[role], **options)
    assert check_config(role) == []


def test_a_fault_of_several_settings_names_variables_to_whom_typed_none_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BONAFIDES_VERIFIER_FOLLOW", "true")
    expected = "BONAFIDES_VERIFIER_FOLLOW needs BONAFIDES_VERIFIER_RPC"
    (found,) = check_config("verifier", port=8000)
    assert found.startswith(expected)


@pytest.mark.parametrize("role", ROLES.values())
def test_every_setting_says_what_it_is(role: type[ServerSettings]) -> None:
    settings = describe(role)
    assert len(settings) > 10
    for setting in settings:
        assert setting.description.endswith((".", "m", "d", "h")), setting.name
        assert setting.variable.startswith("BONAFIDES_")


def test_durations() -> None:
    assert [parse_duration(text) for text in ("90s", "30m", "24h", "7d")] == [90, 1800, 86_400, 604_800]
    for text in ("", "24", "0h", "-1h", "1.5h", "24 h", "1w"):
        with pytest.raises(Misconfigured):
            parse_duration(text)
