import pytest

from fairlead.cli import run
from fairlead.errors import InvalidConfiguration, NotPermitted
from fairlead.receive import Ledger, load_routes
from fairlead.receive.routes import CalledAeUnknown, printable
from fairlead.resources import configs_folder
from receive.builders import ROUTE, a_row

TABLE = """
routes:
  - {name: ct, project: trauma, center: north, calling_ae: [CT1], from_networks: [10.1.0.0/16], called_ae: [TRAUMA],
     projects_by_called_ae: [heart]}
  - {name: secure, project: lung, center: south, from_networks: ["0.0.0.0/0"], tls_subjects: [pacs.example.org]}
"""


@pytest.fixture
def table(tmp_path):
    file = tmp_path / "routes.yaml"
    file.write_text(TABLE)
    return load_routes(file)


@pytest.mark.parametrize(
    ("called", "project"), [("FAIRLEAD", "trauma"), ("TRAUMA", "trauma"), ("kp-trauma", "trauma"), ("kp-heart", "heart")]
)
def test_the_called_title_chooses_among_the_projects_of_the_rule(table, called, project):
    route = table.match(calling_ae="CT1", called_ae=called, peer="10.1.2.3")
    assert (route.project, route.center, route.calling_ae, route.called_ae) == (project, "north", "CT1", called)


@pytest.mark.parametrize("called", ["kp-secret", "kp-../x", "kp-", "OTHER", "KP-heart"])
def test_a_called_title_that_the_rule_does_not_allow_is_refused(table, called):
    with pytest.raises(CalledAeUnknown, match="is not served"):
        table.match(calling_ae="CT1", called_ae=called, peer="10.1.2.3")


@pytest.mark.parametrize(
    ("calling", "peer", "subject"),
    [("CT2", "10.1.2.3", None), ("CT1", "10.2.0.1", None), ("ct1", "10.1.2.3", None), ("X", "10.1.2.3", "other.example.org")],
)
def test_whoever_is_not_listed_is_refused(table, calling, peer, subject):
    with pytest.raises(NotPermitted, match="not on the list"):
        table.match(calling_ae=calling, called_ae="FAIRLEAD", peer=peer, tls_subject=subject)


def test_a_rule_names_the_profile_that_its_objects_must_be_published_under(tmp_path, engine):
    file = tmp_path / "routes.yaml"
    file.write_text("routes: [{name: a, project: p, center: c, from_networks: [10.0.0.0/8], deidentify_profile: research-longitudinal}]")
    route = load_routes(file).match(calling_ae="CT1", called_ae="FAIRLEAD", peer="10.0.0.1")
    ledger = Ledger(engine)
    ledger.record_instance(a_row(1), study_uid="1.2", series_uid="1.2.3", route=route)
    ledger.record_instance(a_row(2), study_uid="1.2", series_uid="1.2.4", route=ROUTE)
    assert ledger.demanded_profile("p", "c", "1.2.3") == "research-longitudinal"
    assert ledger.demanded_profile(ROUTE.project, ROUTE.center, "1.2.4") is ledger.demanded_profile("p", "c", "9") is None
    file.write_text(file.read_text().replace("research-longitudinal", "../other"))
    with pytest.raises(InvalidConfiguration, match="deidentify_profile"):
        load_routes(file)


def test_config_check_names_a_demanded_profile_that_does_not_exist(tmp_path, monkeypatch, capsys):
    file = tmp_path / "routes.yaml"
    rule = "routes: [{{name: a, project: p, center: c, from_networks: [10.0.0.0/8], deidentify_profile: {}}}]"
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FAIRLEAD_NODE__ROUTES", str(file))
    for profile, status in (("basic", 0), ("invented", 1)):
        file.write_text(rule.format(profile))
        assert run(["config", "check"]) == status
    assert "invented" in capsys.readouterr().err


def test_a_certificate_on_the_list_admits(table):
    route = table.match(calling_ae="X", called_ae="FAIRLEAD", peer="192.0.2.1", tls_subject="pacs.example.org")
    assert (route.project, route.tls_subject) == ("lung", "pacs.example.org")


def test_an_ipv4_peer_on_an_ipv6_socket_is_the_same_peer(table):
    assert table.match(calling_ae="CT1", called_ae="FAIRLEAD", peer="::ffff:10.1.2.3").project == "trauma"


def test_the_default_table_admits_this_machine_only():
    table = load_routes(configs_folder() / "routes.yaml")
    assert table.match(calling_ae="ANY", called_ae="FAIRLEAD", peer="127.0.0.1").project == "default"
    assert table.match(calling_ae="ANY", called_ae="kp-heart", peer="::1").project == "heart"
    assert table.projects() == (("default", "local"),)
    with pytest.raises(NotPermitted):
        table.match(calling_ae="ANY", called_ae="FAIRLEAD", peer="192.0.2.1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("routes: [{name: x", "is not YAML"),
        ("[]", "no named values"),
        ("rules: []", "one key, routes"),
        ("routes: [{name: x, project: p, center: c}]", "from_networks"),
        ("routes: [{name: x, project: P!, center: c, from_networks: [10.0.0.0/8]}]", "project"),
        ("routes: [{name: x, project: p, center: c, from_networks: [nowhere]}]", "from_networks"),
        ("routes: [{name: x, project: p, center: c, from_networks: [10.0.0.0/8], colour: red}]", "colour"),
    ],
)
def test_a_broken_table_is_refused_and_the_place_is_named(tmp_path, text, message):
    file = tmp_path / "routes.yaml"
    file.write_text(text)
    with pytest.raises(InvalidConfiguration, match=message):
        load_routes(file)


def test_a_missing_table_is_refused_and_an_empty_one_admits_nobody(tmp_path):
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        load_routes(tmp_path / "none.yaml")
    (tmp_path / "empty.yaml").write_text("routes:\n")
    with pytest.raises(NotPermitted):
        load_routes(tmp_path / "empty.yaml").match(calling_ae="X", called_ae="FAIRLEAD", peer="127.0.0.1")


def test_a_title_is_shown_without_control_characters():
    assert printable("\x1b[2JEVIL\n" + "x" * 40) == "'?[2JEVIL?xxxxxxx'"
