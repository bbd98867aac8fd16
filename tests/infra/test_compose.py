"""compose.yaml against the compose specification's own schema, and what a schema cannot see. Nothing is started here."""

import json
import re
from importlib.resources import files
from pathlib import Path

import jsonschema
import yaml
from misspelt_keys import rename_key

REPOSITORY = Path(__file__).parents[2]
INFRA = REPOSITORY / "infra"
TEXT = (INFRA / "compose.yaml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
SCHEMA = json.loads(
    files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text(encoding="utf-8")
)


def _problems(document):
    return [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(document)]


def test_the_specification_is_kept():
    assert _problems(COMPOSE) == []


def test_every_misspelt_key_of_a_service_is_caught():
    for name, service in SERVICES.items():
        for key in service:
            assert _problems(rename_key(COMPOSE, ("services", name, key), f"{key}x")), (name, key)
    assert _problems(rename_key(COMPOSE, ("services", "redis", "healthcheck", "interval"), "intervall"))


def test_all_that_was_asked_for_is_there():
    wanted = {"gateway", "head", "worker", "mlflow", "postgres", "redis", "storage", "prometheus", "grafana"}
    assert wanted | {"prepare"} == set(SERVICES)


def test_secrets_are_asked_for_and_have_no_default():
    variables = re.findall(r"(?<!\$)\$\{(\w+)([^}]*)\}", TEXT)
    assert len(variables) > 5
    secret = re.compile("PASSWORD|TOKEN|SECRET|STORAGE_USER")
    for name, rest in variables:
        if secret.search(name):
            assert rest.startswith(":?"), name
            assert len(rest) > 10, f"{name} does not say what it is"
        else:
            assert rest.startswith(":-"), name
    for service in SERVICES.values():
        for name, value in (service.get("environment") or {}).items():
            if secret.search(name):
                assert "${" in value, name


def test_what_a_service_names_is_there():
    for name, service in SERVICES.items():
        for other, how in (service.get("depends_on") or {}).items():
            assert other in SERVICES, (name, other)
            if how["condition"] == "service_healthy":
                # Ours have their health check in the image.
                assert "healthcheck" in SERVICES[other] or "build" in SERVICES[other], other
        assert set(service["networks"]) <= set(COMPOSE["networks"]), name
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"]), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            there = (INFRA / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
            assert there, (name, source)


def test_images_are_pinned_and_services_are_restrained():
    for name, service in SERVICES.items():
        tag = service["image"].rpartition(":")[2]
        assert any(character.isdigit() for character in tag), name
        assert "no-new-privileges:true" in service["security_opt"], name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_addresses_lead_to_services():
    text = re.sub(r"\$\{[^}]*\}", "x", TEXT)
    hosts = set(re.findall(r"(?:https?|redis|postgresql\+psycopg)://(?:[^@\s/]*@)?([a-z]+):\d+", text))
    assert {"head", "storage", "mlflow", "postgres", "redis"} <= hosts
    assert hosts <= set(SERVICES)
    assert SERVICES["worker"]["environment"]["RAY_HEAD"] == "head:6379"


def test_the_roles_are_those_of_the_image():
    entrypoint = (INFRA / "entrypoint.sh").read_text()
    for name in ("gateway", "head", "worker", "mlflow"):
        assert SERVICES[name]["command"][0] == name
        assert f"\n{name})" in entrypoint


def test_the_gateway_knows_what_it_is_told():
    said = "".join(path.read_text() for path in (REPOSITORY / "src" / "backtune").rglob("*.py"))
    for name in SERVICES["gateway"]["environment"]:
        if name.startswith("BACKTUNE_"):
            assert f'"{name}"' in said, name
