"""Scripts that edit artifacts do the same through both clients.

Two projects with the same artifacts, logged by the SDK: one is edited with ``import wandb``, the
other with ``import runlake as wandb``. Every answer agrees, and so does what the backend has after.
"""

import json

import pytest
from tests.server_process import run_script

LOG = """
import datetime, sys, wandb
from pathlib import Path

Path("a.txt").write_text("aaa")
Path("b").mkdir()
Path("b/c.txt").write_text("ccc")
for project in sys.argv[1:]:
    run = wandb.init(project=project, id="maker")
    for number in range(3):
        logged = wandb.Artifact("set", type="dataset", metadata={"n": number})
        logged.add_file("a.txt")
        logged.add_dir("b", name="b")
        with logged.new_file("number.txt") as file:
            file.write(str(number))
        table = wandb.Table(
            columns=["x", "word", "when"],
            data=[[number, "one", datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)],
                  [2, None, None]],
        )
        logged.add(table, "tbl")
        run.log_artifact(logged, aliases=["latest", f"number{number}"]).wait()
    model = wandb.Artifact("model", type="model")
    model.add_file("a.txt", name="weights.bin")
    run.log_artifact(model).wait()
    hashed = wandb.Artifact("hashed", type="dataset", digest_algorithm="XXH128")
    hashed.add_file("a.txt")
    run.log_artifact(hashed).wait()
    run.finish()
"""
# Each is run in both, one after the other; the last expression is the answer.
STEPS = [
    "art = api.artifact(f'{project}/set:v0')\nart.aliases.append('prod')\nart.save()\nart.aliases",
    "art.aliases += ['second']\nart.save()\nsorted(art.aliases)",
    "art.aliases.remove('second')\nart.save()\nsorted(art.aliases)",
    "other = api.artifact(f'{project}/set:v0')\nother.aliases.append('by-another')\nother.save()",
    "art.aliases.append('mine')\nart.save()\nsorted(art.aliases)",
    "api.artifact(f'{project}/set:latest').version",
    "art.aliases = ['latest', 'prod']\nart.save()\nart.aliases",
    "[sorted(api.artifact(f'{project}/set:v{n}').aliases) for n in range(3)]",
    "api.artifact(f'{project}/set').version",
    "art.aliases = 'alone'\nart.save()\nart.aliases",
    "art.aliases = ['a/b']",
    "art.aliases = ['a:b']",
    "art.aliases = 7",
    "art.aliases = ['v1']\nart.save()",
    "art = api.artifact(f'{project}/set:v0')\nsorted(art.aliases)",
    "art.tags = ['gold', 'gold', 'two words']\nart.save()\nsorted(art.tags)",
    "art.tags.append('more')\nart.save()\nsorted(art.tags)",
    "art.tags.remove('gold')\nart.save()\nsorted(api.artifact(f'{project}/set:v0').tags)",
    "art.tags = ['not/a/tag']",
    "art.tags = []\nart.save()\nart.tags",
    "art.description = 'what it is'\nart.save()\nart.description",
    "art.description = None\nart.save()\nart.description",
    "art.metadata['in'] = 'place'\nart.save()\nart.metadata",
    "art.metadata.update(acc=0.5)\nart.save()\napi.artifact(f'{project}/set:v0').metadata",
    (
        "art.metadata = {'nan': math.nan, 'set': {1}, 'tuple': (1, 2),"
        " 'day': datetime.date(2026, 1, 2), 'numpy': numpy.float32(0.5), 'array': numpy.arange(3),"
        " 'long': numpy.arange(100), 1: 'one', 'path': Path('a'), 'slice': slice(1, 2),"
        " 'bytes': b'text', 'none': None}\n"
        "art.save()\nart.metadata"
    ),
    "art.metadata = '{\"json\": 1}'\nart.save()\nart.metadata",
    "art.metadata = {'inf': math.inf}",
    "art.metadata = [1]",
    "art.metadata = 'no json'",
    "art.metadata = {str(n): n for n in range(101)}",
    "art.metadata = None\nart.save()\nart.metadata",
    "art.ttl = datetime.timedelta(days=3, seconds=0.5)\nart.save()\nart.ttl.total_seconds()",
    "art.ttl = None\nart.save()\nart.ttl",
    "art.ttl = wandb.ArtifactTTL.INHERIT\nart.ttl",
    "art.save()\nart.ttl",
    "art.ttl = datetime.timedelta(0)",
    "art.name, art.version, art.digest == api.artifact(f'{project}/set:v0').digest",
    "sorted(art.json_encode())",
    "art.linked_at, art.is_link, art.source_artifact is art, art.linked_artifacts",
    "art.unlink()",
    # Links.
    "linked = art.link(f'{project}/chosen', aliases=['best'])\nlinked.name, sorted(linked.aliases)",
    "linked.is_link, linked.version, linked.source_version, linked.linked_at is None",
    "linked.qualified_name, linked.source_qualified_name, linked.linked_artifacts",
    "art.link(f'{project}/chosen').name",
    "api.artifact(f'{project}/set:v2').link(f'{project}/chosen').name",
    (
        "[(a.name, sorted(a.aliases), a.is_link)"
        " for a in api.artifacts('dataset', f'{project}/chosen')]"
    ),
    "found = api.artifact(f'{project}/chosen:v1')\nfound.version, found.source_version, found.name",
    "tree(found.download('linked'))",
    "[f.name for f in found.files()]",
    "found.collection.name, found.source_collection.name, found.collection.is_sequence()",
    "found.source_artifact.qualified_name",
    # The SDK lists a version among the aliases here, and forgets it at a save.
    "[(a.qualified_name, a.version, 'best' in a.aliases) for a in art.linked_artifacts]",
    "found.aliases.append('checked')\nfound.save()\nfound.name",
    "sorted(api.artifact(f'{project}/chosen:checked').aliases)",
    "sorted(api.artifact(f'{project}/set:v2').aliases)",
    "found.tags = ['by-link']\nfound.save()\napi.artifact(f'{project}/set:v2').tags",
    "found.ttl = None",
    (
        "chosen = found.collection\nchosen.description = 'the best'\nchosen.tags = ['kept']\n"
        "chosen.save()\nchosen.description"
    ),
    "chosen.type = 'other'",
    "art.link(f'{project}/set')",
    "art.link('nowhere/chosen')",
    "art.link('a/b/c/d')",
    "art.link(f'{project}/chosen', aliases=['a/b'])",
    "found.unlink()\napi.artifact_exists(f'{project}/chosen:checked')",
    "found.unlink()",
    "linked.delete()\n[a.version for a in api.artifacts('dataset', f'{project}/chosen')]",
    "api.artifact(f'{project}/set:v0').state",
    "chosen.delete()\nsorted(c.name for c in api.artifact_collections(project, 'dataset'))",
    "art.add_file('a.txt')",
    # Files.
    "art.download()",
    "art.download('./here/')",
    "art.download(Path('there'), path_prefix='b/', multipart=True, skip_cache=False)",
    "art.get_entry('a.txt').download()",
    "art.get_entry('a.txt').download('./one')",
    "api.artifact(f'{project}/model:latest').file()",
    "api.artifact(f'{project}/model:latest').file('./two/')",
    "art.file()",
    "art.get_entry('tbl').path",
    "art.get_entry('a.txt').ref_url().split('/')[-1]",
    "art.get_entry('a.txt').ref_url() == art.get_entry('b/c.txt').ref_url()[:-7] + 'a.txt'",
    "sorted(set(art.get_entry('a.txt').to_json()) - {'local_path'})",
    "art.manifest.version(), art.manifest.manifest_version, len(art.manifest)",
    "art.manifest.digest() == art.digest, art.manifest.size() == art.size",
    "sorted(e.path for e in art.manifest.get_entries_in_directory('b'))",
    "art.manifest.get_entry_by_path('nothing')",
    (
        "found = art.manifest.to_manifest_json()\n"
        "[e.pop('birthArtifactID') == art.id for e in found['contents'].values()], found"
    ),
    (
        "Path('here/extra').mkdir()\nPath('here/extra/x').write_text('x')\n"
        "Path('here/a.txt').write_text('changed')\nart.checkout('here')"
    ),
    "tree('here')",
    "art.verify('here')",
    "os.path.relpath(art.checkout())",
    "Path('here/a.txt').write_text('changed')\nart.verify('here')",
    "Path('here/a.txt').unlink()\nart.verify('here')",
    "hashed = api.artifact(f'{project}/hashed:v0')\nhashed.verify(hashed.download('hashed'))",
    "Path('hashed/a.txt').write_text('other')\nhashed.verify('hashed')",
    "hashed.manifest.digest() == hashed.digest",
    # Objects.
    "art['a.txt']",
    "art.get('nothing')",
    "art['tbl'].columns",
    "art.get('tbl.table.json').data",
    "art.get('tbl').get_column('word')",
    "[(int(n), row) for n, row in art.get('tbl').iterrows()]",
    "art.get('tbl').get_dataframe().to_dict('list')",
    # Collections.
    "sorted(c.name for c in api.project(project).collections())",
    "[c.name for c in api.project(project).collections(order='-name', per_page=1)]",
    "[c.name for c in api.project(project).collections({'name': 'set'})]",
    "sorted(c.name for c in api.project(project).collections({'name': {'$regex': 'e'}}))",
    (
        "sorted(c.name for c in api.project(project).collections("
        "{'$or': [{'name': {'$in': ['model', 'no']}}, {'$not': {'type': 'model'}}]}))"
    ),
    "[c.name for c in api.project(project).collections({'nothing': 1})]",
    "[c.name for c in api.project(project).collections({'name': {'$near': 'x'}})]",
    "len(api.project(project).collections())",
    "[t.name for t in api.project(project).artifacts_types()]",
    (
        "found = api.artifact_collection('dataset', f'{project}/set')\n"
        "found.entity == api.default_entity, found.project == project, found.organization"
    ),
    "found.description = 'together'\nfound.tags.append('kept')\nfound.save()\nfound.tags",
    "found.tags = ['other', 'tags']\nfound.save()\nsorted(found.tags)",
    "[(c.description, sorted(c.tags)) for c in api.project(project).collections({'name': 'set'})]",
    "found.name = 'a/b'",
    "found.name = 'n' * 129",
    "found.tags = ['not/a/tag']",
    "found.type = 'wandb-own'\nfound.save()",
    (
        "found = api.artifact_collection('dataset', f'{project}/set')\n"
        "found.name, found.type = 'renamed', 'other'\nfound.save()\nfound.name, found.type"
    ),
    "[a.name for a in found.artifacts()]",
    "[c.name for c in api.artifact_collections(project, 'other')]",
    "api.artifact_collection_exists(f'{project}/set', 'dataset')",
    "found.name, found.type = 'set', 'dataset'\nfound.save()\nfound.type",
    "found.change_type('other')\nfound.type",
    "found.change_type('dataset')\nfound.type",
    # Deletion.
    "api.artifact(f'{project}/set:number1').delete()",
    "api.artifact(f'{project}/set:number1').version",
    "api.artifact(f'{project}/set:number1').delete(delete_aliases=True)",
    "[a.version for a in api.artifacts('dataset', f'{project}/set')]",
    "last = api.artifact(f'{project}/set:v2')\nlast.aliases = []\nlast.save()\nlast.delete()",
    "api.artifact_exists(f'{project}/set:v2')",
    "last.aliases.append('gone')\nlast.save()",
    "api.artifact_collection('model', f'{project}/model').delete()",
    "sorted(c.name for c in api.project(project).collections())",
]
RUN = """
import ast, datetime, json, math, numpy, os, sys, warnings
from pathlib import Path
import {client} as wandb

project = sys.argv[1]
names = dict(globals(), api=wandb.Api())

def tree(directory):
    return {{p.relative_to(directory).as_posix(): p.read_text() for p in Path(directory).rglob("*")
            if p.is_file() and not p.name.endswith(".json")}}

names["tree"] = tree

def answer(code):
    module = ast.parse(code)
    last = module.body.pop()
    try:
        exec(compile(module, "step", "exec"), names)
        if isinstance(last, ast.Expr):
            return describe(eval(compile(ast.Expression(last.value), "step", "eval"), names))
        return exec(compile(ast.Module([last], []), "step", "exec"), names)
    except Exception as error:
        kinds = ("CommError", "ValueError", "TypeError", "KeyError", "FileNotFoundError",
                 "AttributeError")
        return {{"raised": [k.__name__ for k in type(error).__mro__ if k.__name__ in kinds],
                "text": str(error)}}

def describe(value):
    text = json.dumps(value, default=str, sort_keys=True)
    return json.loads(text.replace(project, "PROJECT").replace(os.getcwd(), "HERE"))

warnings.simplefilter("ignore")
Path("answers.json").write_text(json.dumps([answer(code) for code in json.loads(sys.argv[2])]))
"""
# The SDK's error has no class that says more; ours is caught by the same ``except``.
EQUIVALENT = {"AttributeError": "ValueError"}


@pytest.fixture(scope="module")
def answers(backend, tmp_path_factory):
    directory = tmp_path_factory.mktemp("edits")
    projects = {"wandb": "edited-by-sdk", "runlake": "edited-by-us"}
    run_script(LOG, backend, directory / "log", *projects.values())
    for client, project in projects.items():
        steps = json.dumps(STEPS)
        run_script(RUN.format(client=client), backend, directory / client, project, steps)
    return [json.loads((directory / client / "answers.json").read_text()) for client in projects]


@pytest.mark.parametrize("step", range(len(STEPS)), ids=[s.split("\n")[-1] for s in STEPS])
def test_an_edit_does_the_same_through_both_clients(answers, step):
    theirs, ours = (answer[step] for answer in answers)
    if isinstance(theirs, dict) and "raised" in theirs:
        assert isinstance(ours, dict), ours
        assert "raised" in ours, ours
        missing = set(theirs["raised"]) - set(ours["raised"])
        assert {EQUIVALENT.get(kind) for kind in missing} <= set(ours["raised"]), (theirs, ours)
    else:
        assert ours == theirs


def test_most_steps_succeed(answers):
    assert sum(isinstance(a, dict) and "raised" in a for a in answers[0]) in range(15, 40)
