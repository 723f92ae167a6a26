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
    Row("Project.display", "api.project(project, entity).display()"),
    Row("Project.to_html", "api.project(project, entity).to_html()"),
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
    Row("Runs.__repr__", "repr(api.runs(where))"),
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
]

API_ROWS = [*API, *RUNS, *ARTIFACTS]
