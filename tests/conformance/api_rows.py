"""Rows about ``Api``, the lists of runs, projects, summaries and artifacts."""

from tests.conformance.table import Row

ROWS_OF = "[(row['run_id'], row['_step'], row['loss']) for row in {}]"

API = [
    Row("Api.run", "api.run(path) is api.run(path)"),
    Row("Api.run", "api.run(f'/{entity}/{project}/runs/main').id"),
    Row("Api.run", "api.run(f'{entity}/{project}:main').id"),
    Row("Api.run", "api.run(f'{project}/main').path"),
    Row("Api.run", "api.run('')"),
    Row("Api.from_path", "api.from_path(path).id"),
    Row("Api.default_entity", "api.default_entity"),
    Row("Api.api_key", "len(api.api_key)"),
    Row("Api.settings", "api.settings['entity'], api.settings.get('project')"),
    Row("Api.settings", "api.settings['base_url'].startswith('http')"),
    Row("Api.settings", "api.settings['nothing']"),
    Row(
        "Api.settings",
        "given = {'entity': entity, 'project': project, 'run': 'main', 'organization': 'o'}\n"
        "wandb.Api(given, timeout=30).run('main').id",
    ),
    Row("Api.settings", "issubclass(wandb.errors.UnsupportedError, wandb.errors.UsageError)"),
    Row("Api.viewer", "api.viewer.username, api.viewer.entity, api.viewer.name"),
    Row("Api.viewer", "api.viewer.teams, len(api.viewer.api_keys), len(api.viewer.api_keys[0])"),
    Row(
        "Api.team",
        "team = api.team(entity)\n"
        "repr(team), team.is_team, team.isPaid, team.default_access, team.available, "
        "[(repr(m), m.team, m.username, m.admin, m.api_key) for m in team.members]",
    ),
    Row("Api.from_path", "api.from_path(f'{entity}/{project}').name"),
    Row("Api.from_path", "api.from_path('a/b/c/d/e')"),
    Row("Api.sweep", "api.sweep(f'{entity}/{project}/none')"),
    Row(
        "Api.artifact_versions",
        "[a.name for a in api.artifact_versions('model', f'{entity}/{project}/model')]",
    ),
    Row("Api.user_agent", "type(api.user_agent).__name__"),
    Row("Api.project", "api.project(project, entity).name"),
    Row("Api.projects", "project in [p.name for p in api.projects(entity)]"),
    Row("Api.projects", "len(list(api.projects(entity, per_page=1))) >= 2"),
    Row("Project.id", "api.project(project, entity).id", is_volatile=True),
    Row("Project.owner", "api.project(project, entity).owner.username"),
    Row("Project.path", "api.project(project, entity).path"),
    Row("Project.url", "api.project(project, entity).url"),
    Row("Project.sweeps", "[s.id for s in api.project(project, entity).sweeps(order='+name')]"),
    Row("Project.sweeps", "len(api.project(project, entity).sweeps(per_page=1))"),
    Row("Project.sweeps", "api.project(project, entity).sweeps(filters={'state': 'FINISHED'})"),
    Row("Project.sweeps", "list(api.project('nowhere', entity).sweeps())"),
    Row("Project.id", "api.project('nowhere', entity).id"),
    Row("Project.display", "api.project(project, entity).display()"),
    Row("Project.to_html", "api.project(project, entity).to_html()"),
    Row("Project.to_html", "api.project(project, entity).to_html(hidden=True)"),
    Row("Project.snake_to_camel", "api.project(project, entity).snake_to_camel('a_b')"),
    Row("Project.__repr__", "repr(api.project(project, entity))"),
    Row("Api.flush", "before = api.run(path)\napi.flush()\napi.run(path) is before"),
    Row("Api.create_project", "api.create_project(project + '-new', entity)"),
    Row(
        "Api.create_project",
        "project + '-new' in [p.name for p in wandb.Api().projects(entity)]",
    ),
    Row(
        "Api.create_run",
        "new = api.create_run(run_id='created', project=project, entity=entity)\n"
        "[new.id, new.state, new.path]",
    ),
]

RUNS = [
    Row("Api.runs", "where = f'{entity}/{project}'\n[r.id for r in api.runs(where)]"),
    Row("Api.runs", "len(api.runs(where))"),
    Row("Api.runs", "[r.id for r in api.runs(where, order='-created_at')]"),
    Row("Api.runs", "[r.id for r in api.runs(where, per_page=1)]"),
    Row("Api.runs", "[r.id for r in api.runs(where, filters={'state': 'finished'})]"),
    Row("Api.runs", "[r.id for r in api.runs(where, filters={'config.lr': {'$gt': 0.015}})]"),
    Row(
        "Api.runs",
        "[r.id for r in api.runs(where, filters={'$and': [{'config.lr': {'$gt': 0.01}}, "
        "{'state': 'finished'}]}, order='-summary_metrics.acc')]",
    ),
    Row("Api.runs", "[r.id for r in api.runs(where, filters={'tags': {'$in': ['small', 'a']}})]"),
    Row(
        "Api.runs",
        "[r.id for r in api.runs(where, filters={'$or': [{'group': 'g1'}, "
        "{'display_name': {'$regex': '^up'}}]})]",
    ),
    Row("Api.runs", "[r.id for r in api.runs(where, filters={'config.index': {'$exists': True}})]"),
    Row("Api.runs", "[r.id for r in api.runs(where, filters={'name': {'$nin': ['main']}})]"),
    Row("Api.runs", "[r.id for r in api.runs(where, filters={'config.lr': {'$near': 1}})]"),
    Row("Api.runs", "[r.id for r in api.runs(f'{entity}/none-such')]"),
    Row("Api.runs", "api.runs(where) is api.runs(where)"),
    Row("Runs.__getitem__", "api.runs(where)[1].id"),
    Row("Runs.__getitem__", "[r.id for r in api.runs(where)[1:3]]"),
    Row("Runs.__getitem__", "api.runs(where)[99]"),
    Row("Runs.next", "api.runs(where, order='+name').next().id"),
    Row("Runs.more", "some = api.runs(where, per_page=2, order='+name')\nsome[0].id\nsome.more"),
    Row("Runs.cursor", "some.cursor", is_volatile=True),
    Row("Runs.upgrade_to_full", "some.upgrade_to_full()\nsome[0].config"),
    Row("Runs.__repr__", "repr(api.runs(where, order='-name'))"),
    Row(
        "Runs.__repr__",
        "repr(api.runs(where))",
        follows="runlake",
        difference="a list that was used says how many runs it has, and how many are running",
        ours="theirs.replace('>', ': 6 runs, 1 running>')",
    ),
    Row(
        "Runs.histories",
        "small = api.runs(where, filters={'tags': 'small'}, order='+name')\n"
        + ROWS_OF.format("small.histories(keys=['loss'])[:30]"),
    ),
    Row("Runs.histories", "small.histories(keys=['loss'], format='pandas')"),
    Row("Runs.histories", "small.histories(keys=['loss', 'acc'], format='polars')"),
    Row("Runs.histories", "len(small.histories(samples=5))"),
    Row("Runs.histories", "small.histories(keys=['none such'])"),
    Row("Runs.histories", "len(small.histories(stream='events')) > 0"),
    Row("Runs.histories", "len(small.histories(None, None, None))"),
    Row("Runs.histories", "small.histories(50, ['loss', '_step'], 'acc')[:3]"),
    Row("Runs.histories", "small.histories(50, ['_step'], 'acc', 'polars')"),
    Row("Runs.histories", "small.histories(format='csv')"),
]

ARTIFACTS = [
    Row("Api.artifact", "model = api.artifact(f'{where}/model:latest')\nmodel.name"),
    Row("Api.artifact", "api.artifact(f'{where}/none-such:latest')"),
    Row("Api.artifact", "api.artifact(f'{where}/model:latest', type='dataset')"),
    Row("Api.artifact_exists", "api.artifact_exists(f'{where}/model:v0')"),
    Row("Api.artifact_exists", "api.artifact_exists(f'{where}/model:v7')"),
    Row("Api.artifact_exists", "api.artifact_exists('a/b/c/d'), api.artifact_exists(None)"),
    Row("Api.artifact", "api.artifact(f'/{project}/model:v0').name"),
    Row("Api.artifact_collection_exists", "api.artifact_collection_exists('a/b/c/d', 'model')"),
    Row("Api.artifact_collections", "list(api.artifact_collections(where, 'none'))"),
    Row("Run.log_artifact", "run.log_artifact(api.artifact(f'{where}/model:v0'), aliases=5)"),
    Row("Api.artifacts", "[a.name for a in api.artifacts('dataset', f'{where}/dataset')]"),
    Row("Api.artifact_types", "sorted(t.name for t in api.artifact_types(where))"),
    Row("Api.artifact_type", "api.artifact_type('model', where).name"),
    Row("Api.artifact_collections", "[c.name for c in api.artifact_collections(where, 'model')]"),
    Row("Api.artifact_collection", "api.artifact_collection('model', f'{where}/model').name"),
    Row(
        "Api.artifact_collection_exists",
        "api.artifact_collection_exists(f'{where}/model', 'model')",
    ),
    *(
        Row(f"Artifact.{name}", f"api.artifact(f'{{where}}/dataset:v0').{name}")
        for name in (
            "name",
            "type",
            "version",
            "tags",
            "metadata",
            "description",
            "digest",
            "size",
            "state",
            "entity",
            "project",
            "qualified_name",
            "file_count",
            "source_entity",
            "source_project",
            "source_name",
            "source_version",
            "source_qualified_name",
            "ttl",
            "is_link",
            "history_step",
            "url",
        )
    ),
    Row("Artifact.aliases", "sorted(api.artifact(f'{where}/dataset:v0').aliases)"),
    Row("Artifact.id", "model.id", is_volatile=True),
    Row("Artifact.created_at", "model.created_at", is_volatile=True),
    Row("Artifact.updated_at", "model.updated_at", is_volatile=True),
    Row("Artifact.commit_hash", "model.commit_hash", is_volatile=True),
    Row("Artifact.is_draft", "model.is_draft()"),
    Row("Artifact.wait", "model.wait() is model"),
    Row("Artifact.collection", "model.collection.name"),
    Row("Artifact.source_collection", "model.source_collection.name"),
    Row("Artifact.manifest", "sorted(model.manifest.entries)"),
    Row("Artifact.files", "[f.name for f in model.files()]"),
    Row("Artifact.get_entry", "str(model.get_entry('note.txt').path)"),
    Row("Artifact.get_path", "str(model.get_path('note.txt').path)"),
    Row("Artifact.file", "Path(model.file('got')).read_text()"),
    Row("Artifact.download", "Path(model.download('model')).joinpath('note.txt').read_text()"),
    Row("Artifact.verify", "model.verify('model')"),
    Row("Artifact.logged_by", "model.logged_by().id"),
    Row("Artifact.used_by", "[r.id for r in api.artifact(f'{where}/dataset:v0').used_by()]"),
    Row("Artifact.source_artifact", "model.source_artifact is model"),
    Row("Artifact.linked_at", "model.linked_at"),
    Row(
        "Artifact.link",
        "linked = model.link(f'{where}/chosen', aliases=['best'])\n"
        "linked.name, sorted(linked.aliases), linked.source_name",
    ),
    Row("Artifact.linked_artifacts", "[a.name for a in model.linked_artifacts]"),
    Row("Artifact.unlink", "linked.unlink()\nmodel.linked_artifacts"),
    Row("Artifact.unlink", "model.unlink()"),
    Row("Artifact.finalize", "model.finalize()"),
    *(
        Row(f"Artifact.{name}", f"model.{name}")
        for name in ("use_as", "incremental", "distributed_id")
    ),
    Row("Artifact.digest_algorithm", "model.digest_algorithm == 'MANIFEST_MD5'"),
    Row("Artifact.files", "isinstance(model.files()[0], wandb.apis.public.File)"),
    Row("Artifact.files", "[len(model.files(names)) for names in ([], ['note.txt'], ['none'])]"),
    Row("Artifact.files", "repr(next(iter(model.files())))"),
    Row("Artifact.json_encode", "sorted(model.json_encode())"),
    Row("Artifact.file", "model.file()"),
    Row("Artifact.file", "model.file('./got/')"),
    Row("Artifact.download", "model.download('./model/')"),
    Row("Artifact.checkout", "Path('model/x').write_text('x')\nmodel.checkout('model')"),
    Row("Artifact.checkout", "[p.name for p in Path('model').iterdir()]"),
    Row("Artifact.get", "model.get('note.txt')"),
    Row("Artifact.__getitem__", "model['nothing']"),
    Row(
        "Artifact.get",
        "kept = next(a for a in run.logged_artifacts() if a.type == 'run_table')\n"
        "(kept['table'].columns, kept.get('table').data)",
    ),
    Row("Artifact.aliases", "model.aliases.append('new')\nmodel.save()\nsorted(model.aliases)"),
    Row("Artifact.aliases", "model.aliases = ['latest']\nmodel.save()\nmodel.aliases"),
    Row("Artifact.tags", "model.tags = ['gold']\nmodel.save()\nmodel.tags"),
    Row("Artifact.description", "model.description = 'text'\nmodel.save()\nmodel.description"),
    Row("Artifact.metadata", "model.metadata['acc'] = 0.5\nmodel.save()\nmodel.metadata"),
    Row("Artifact.metadata", "model.metadata = {'a': {1}, 2: None}\nmodel.metadata"),
    Row("Artifact.save", "model.save()"),
    Row("Artifact.delete", "model.delete()"),
    Row("Project.collections", "sorted(c.name for c in api.project(project).collections())"),
    Row("Project.artifacts_types", "[t.name for t in api.project(project).artifacts_types()]"),
]

COLLECTION = "api.artifact_collection('model', f'{where}/model')"
COLLECTIONS = [
    *(
        Row(f"ArtifactCollection.{name}", f"{COLLECTION}.{name}")
        for name in ("entity", "project", "name", "type", "description", "tags", "organization")
    ),
    *(
        Row(f"ArtifactCollection.{name}", f"{COLLECTION}.{name}", is_volatile=True)
        for name in ("id", "project_id", "project_internal_id", "created_at", "updated_at")
    ),
    Row("ArtifactCollection.aliases", f"sorted({COLLECTION}.aliases)"),
    Row("ArtifactCollection.artifacts", f"[a.name for a in {COLLECTION}.artifacts()]"),
    Row("ArtifactCollection.is_sequence", f"{COLLECTION}.is_sequence()"),
    Row("ArtifactCollection.load", f"{COLLECTION}.load(entity, project, 'model', 'none')"),
    Row("ArtifactCollection.__repr__", f"repr({COLLECTION})"),
    Row(
        "ArtifactCollection.save",
        f"one = {COLLECTION}\none.description, one.name = 'text', 'renamed'\n"
        "one.tags.append('kept')\none.save()\n"
        "[(c.name, c.description, c.tags) for c in api.artifact_collections(where, 'model')]",
    ),
    Row("ArtifactCollection.change_type", "one.change_type('other')\none.type"),
    Row("ArtifactCollection.change_type", "one.change_type('job')"),
    Row("ArtifactCollection.delete", "one.delete()"),
    Row(
        "ArtifactCollection.delete",
        "api.artifact_collection_exists(f'{where}/renamed', 'other')",
    ),
]

API_ROWS = [*API, *RUNS, *ARTIFACTS]
LAST_ROWS = COLLECTIONS
