"""The schema of projects takes what the reader takes, and names all of its keys."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from bitsmith.cli.commands import app
from bitsmith.config.model import LAYER_KEYS, MODEL_KEYS
from bitsmith.options.project import create_config, project_keys
from bitsmith.options.schema import schema
from tests.system.examples import MODELS

FAMILIAR = Path(__file__).parent / "familiar"


def test_it_is_a_schema_and_has_all_keys_with_their_meanings() -> None:
    found = json.loads(json.dumps(schema()))
    jsonschema.Draft202012Validator.check_schema(found)
    own = found["properties"]
    assert set(own) == {*project_keys()}
    assert set(own["HLSConfig"]["properties"]["Model"]["properties"]) == {*MODEL_KEYS}
    assert set(found["$defs"]["layer"]["properties"]) == {*LAYER_KEYS}
    assert own["ClockPeriod"]["type"] == ["null", "number", "string"] and "in ns" in own["ClockPeriod"]["description"]
    assert "pynq-z2" in own["Board"]["examples"] and "io_stream" in own["IOType"]["examples"]
    assert not [text for text in json.dumps(found).split() if "``" in text or ":func:" in text]


@pytest.mark.parametrize("file", ["projects.json", "boards.json"])
def test_it_takes_projects_of_other_tools(file: str) -> None:
    projects = json.loads((FAMILIAR / file).read_text())
    for project in projects.values() if isinstance(projects, dict) else projects:
        jsonschema.validate(project, schema())


def test_it_takes_what_commands_write_and_not_wrong_types(tmp_path: Path) -> None:
    path = tmp_path / "digits.yml"
    done = CliRunner().invoke(app, ["config", str(MODELS / "digits.keras"), "--output", str(path)])
    assert done.exit_code == 0, done.stderr
    written = yaml.safe_load(path.read_text())
    jsonschema.validate(written, schema())
    jsonschema.validate(create_config(), schema())
    for key, value in {"ClockPeriod": [5], "Override": "no", "HLSConfig": 3}.items():
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**written, key: value}, schema())


def test_the_command_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "project.schema.json"
    done = CliRunner().invoke(app, ["config", "--schema", "--output", str(path)])
    assert done.exit_code == 0 and "yaml-language-server" in done.stdout
    assert json.loads(path.read_text()) == json.loads(CliRunner().invoke(app, ["config", "--schema"]).stdout)
