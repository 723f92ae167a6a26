"""Rows about ``Run``: members that read, then members that change a run, each on its own run."""

from tests.conformance.table import Row

NO_NULLS = "[{k: v for k, v in row.items() if v != 'None'} for row in theirs]"
NULLS = "the SDK returns None for keys that a row of an export lacks; runlake leaves them out, as "
NULLS += "the page says and as the SDK's reader of live rows does"
KEYS = "as the page says, only rows that have all of the keys; SDK 0.31 does not filter exported "
KEYS += "rows (how='any' returns rows with at least one of the keys)"
WORDS = "the SDK returns NaN and infinities as the protocol's texts"
SHAPE = "points are chosen for the shape of each key; the backend's points are evenly spaced"

PROPERTIES = [
    Row("Run.state", "run.state"),
    Row("Run.entity", "run.entity"),
    Row(
        "Run.username",
        "run.username",
    ),
    Row("Run.storage_id", "run.storage_id", is_volatile=True),
    Row("Run.storage_id", "len(run.storage_id) > 4"),
    Row("Run.id", "run.id"),
    Row("Run.name", "run.name"),
    Row("Run.config", "run.config"),
    Row("Run.config", "run.config is run.config"),
    Row("Run.summary", "run.summary['best']"),
    Row("Run.summary", "run.summary['deep']['x']['y']"),
    Row("Run.summary", "sorted(run.summary.keys())"),
    Row("Run.summary", "run.summary.get('none such', 7)"),
    Row("Run.summary", "'acc' in run.summary, 'none such' in run.summary"),
    Row("Run.summary", "run.summary['none such']"),
    Row("Run.summary_metrics", "sorted(run.summary_metrics)"),
    Row("Run.summary_metrics", "run.summary_metrics['acc'], run.summary_metrics['val/loss']"),
    Row("Run.system_metrics", "type(run.system_metrics).__name__"),
    Row("Run.system_metrics", "run.system_metrics", is_volatile=True),
    Row("Run.rawconfig", "sorted(run.rawconfig)"),
    Row(
        "Run.rawconfig",
        "sorted(metric.get('1') or metric['2'] for metric in run.rawconfig['_wandb']['m'])",
    ),
    Row("Run.sweep_name", "run.sweep_name"),
    Row("Run.sweep", "run.sweep"),
    Row("Run.path", "run.path"),
    Row("Run.url", "run.url"),
    Row("Run.metadata", "sorted(run.metadata)"),
    Row("Run.metadata", "run.metadata['program']", is_volatile=True),
    Row("Run.lastHistoryStep", "run.lastHistoryStep"),
    Row("Run.tags", "run.tags"),
    Row("Run.notes", "run.notes"),
    Row("Run.group", "run.group"),
    Row("Run.job_type", "run.job_type"),
    Row("Run.created_at", "run.created_at", is_volatile=True),
    Row("Run.heartbeat_at", "run.heartbeat_at", is_volatile=True),
    Row("Run.history_line_count", "run.history_line_count"),
    Row("Run.read_only", "run.read_only"),
    Row("Run.description", "run.description"),
    Row("Run.display_name", "run.display_name"),
    Row("Run.user", "run.user.username, run.user.name"),
    Row("Run.history_keys", "sorted(run.history_keys), run.history_keys['lastStep']"),
    Row("Run.history_keys", "run.history_keys['keys']['loss']['typeCounts']"),
    Row("Run.json_config", "__import__('json').loads(run.json_config)['lr']"),
    Row("Run.none_such", "run.none_such"),
    Row("Run.snake_to_camel", "run.snake_to_camel('heartbeat_at')"),
    Row("Run.to_html", "run.to_html()"),
    Row("Run.to_html", "run.to_html(height=100, hidden=True).count('iframe')"),
    Row("Run.display", "run.display()"),
    Row("Run.__repr__", "repr(run)"),
]

LOADING = [
    Row("Run.load", "sorted(set(run.load()) & {'id', 'name', 'tags', 'displayName', 'state'})"),
    Row("Run.load", "run.load(force=True)['displayName']"),
    Row("Run.load_full_data", "lazy = api.runs(f'{entity}/{project}')[0]\nlazy.config"),
    Row("Run.load_full_data", "lazy.load_full_data()['name']"),
    Row("Run.load", "api.run(f'{entity}/{project}/none-such')"),
    Row("Run.load", "api.run(f'{entity}/no-project/none-such')"),
]

HISTORY = [
    Row(
        "Run.scan_history",
        "chance = ('_runtime', '_timestamp')\n"
        "logged = lambda row: {k: v for k, v in row.items() if k not in chance}\n"
        "[logged(row) for row in run.scan_history()][:10]",
        "page",
        NULLS,
        NO_NULLS,
    ),
    Row("Run.scan_history", "len(list(run.scan_history()))"),
    Row("Run.scan_history", "[r['loss'] for r in run.scan_history(keys=['loss'])][:5]"),
    Row("Run.scan_history", "list(run.scan_history(keys=['loss'], min_step=100, max_step=110))"),
    Row(
        "Run.scan_history",
        "list(run.scan_history(keys=['loss', 'sparse']))",
        "page",
        KEYS,
        "[row for row in theirs if 'None' not in row.values() and len(row) == 3]",
    ),
    Row("Run.scan_history", "list(run.scan_history(keys=['nested.b.c'], max_step=3))"),
    Row(
        "Run.scan_history",
        "[logged(r) for r in run.scan_history(min_step=1190, max_step=1193, page_size=2)]",
        "page",
        NULLS,
        NO_NULLS,
    ),
    Row("Run.scan_history", "len(list(run.scan_history(max_step=0)))"),
    Row("Run.scan_history", "len(list(run.scan_history(min_step=-5, max_step=3)))"),
    Row("Run.scan_history", "run.scan_history(keys='loss')"),
    Row("Run.scan_history", "run.scan_history(keys=[1])"),
    Row("Run.beta_scan_history", "list(run.beta_scan_history(keys=['acc'], max_step=5))"),
    Row("Run.beta_scan_history", "len(list(run.beta_scan_history(use_cache=False)))"),
    Row(
        "HistoryScan.max_step",
        "scan = run.scan_history(min_step=5, max_step=50)\nscan.max_step, scan.min_step",
    ),
    Row("HistoryScan.max_step", "run.scan_history().max_step"),
    Row("HistoryScan.__iter__", "[len(list(scan)), len(list(scan))]"),
    Row("HistoryScan.__next__", "next(run.scan_history(keys=['acc']))"),
    Row("Run.history", "run.history(samples=2000, keys=['loss', 'acc'], pandas=False)[:3]"),
    Row("Run.history", "run.history(samples=2000, keys=['sparse'], x_axis='acc', pandas=False)"),
    Row("Run.history", "run.history(samples=2000, keys=['loss'])"),
    Row("Run.history", "len(run.history(samples=2000, pandas=False))"),
    Row("Run.history", "len(run.history(samples=100, pandas=False))"),
    Row("Run.history", "len(run.history())"),
    Row(
        "Run.history",
        "[r['_step'] for r in run.history(samples=4, keys=['loss'], pandas=False)][::3]",
    ),
    Row(
        "Run.history",
        "run.history(samples=2000, keys=['nan'], pandas=False)",
        "runlake",
        WORDS,
        "[{**row, 'nan': 'nan'} for row in theirs]",
    ),
    Row(
        "Run.history",
        "len(run.history(samples=10, keys=['loss'], pandas=False))",
        "runlake",
        SHAPE,
    ),
    Row("Run.history", "len(run.history(stream='system', pandas=False)) > 0"),
    Row("Run.history", "len(run.history(stream='events', pandas=False)) > 0"),
    Row("Run.history", "len(run.history(5, [], 'acc', True, 'systemMetrics')) > 0"),
    Row("Run.history", "len(run.history(samples=None, pandas=False))"),
    Row("Run.history", "len(run.history(None, ['loss'], pandas=False))"),
    Row("Run.history", "len(run.history(samples=2e3, pandas=False))"),
    Row("Run.history", "len(run.history(2000, None, None, False))"),
    Row("Run.history", "run.history(2000, ['loss'], 'acc', False)[:2]"),
    Row("Run.history", "run.history(2000, ['loss', '_step'], 'epoch')"),
    Row("Run.history", "run.history(2000, ['_step'], 'epoch', False)[:2]"),
    Row("Run.history", "run.history(2000, ['_step'], pandas=False)[:2]"),
    Row(
        "Run.history",
        "run.history(stream='system', keys=['loss']) if not is_runlake else 'InvalidArgument'",
        "runlake",
        "runlake raises; the SDK prints an error and returns []",
        "'InvalidArgument'",
    ),
    Row(
        "Run.history",
        "run.history(keys='loss') if not is_runlake else 'InvalidArgument'",
        "runlake",
        "runlake raises; the SDK prints an error and returns []",
        "'InvalidArgument'",
    ),
    Row(
        "Run.download_history_exports",
        "done = run.download_history_exports('exports')\n"
        "[sorted(p.name for p in done.paths), done.contains_live_data, done.errors]",
    ),
    Row("Run.download_history_exports", "done"),
]

FILES = [
    Row("Run.files", "sorted(f.name for f in run.files() if not f.name.startswith('media'))"),
    Row("Run.files", "len(run.files())"),
    Row("Run.files", "[f.name for f in run.files(names=['note.txt'])]"),
    Row("Run.files", "sorted(f.name for f in run.files(pattern='%.txt'))"),
    Row("Run.files", "sorted(f.name for f in run.files(pattern='no__.txt', per_page=1))"),
    Row("Run.files", "run.files(names=['a'], pattern='b')"),
    Row("Files.__getitem__", "run.files(names=['note.txt'])[0].name"),
    Row("Files.more", "files = run.files(per_page=2)\nfiles[0].name\nfiles.more"),
    Row("Files.cursor", "files.cursor", is_volatile=True),
    Row("Files.next", "run.files(names=['note.txt']).next().name"),
    Row("Run.file", "run.file('note.txt').name"),
    Row("Run.file", "run.file('none-such.txt')"),
    Row("File.size", "run.file('note.txt').size"),
    Row("File.md5", "run.file('note.txt').md5"),
    Row("File.mimetype", "run.file('note.txt').mimetype"),
    Row("File.url", "run.file('note.txt').url.startswith('http')"),
    Row("File.direct_url", "run.file('note.txt').direct_url.startswith('http')"),
    Row("File.updated_at", "run.file('note.txt').updated_at", is_volatile=True),
    Row("File.id", "run.file('note.txt').id", is_volatile=True),
    Row("File.path_uri", "run.file('note.txt').path_uri.startswith('http')"),
    Row("File.snake_to_camel", "run.file('note.txt').snake_to_camel('size_bytes')"),
    Row("File.download", "run.file('note.txt').download(root='down').read()"),
    Row("File.download", "run.file('note.txt').download(root='down')"),
    Row("File.download", "run.file('note.txt').download(root='down', exist_ok=True).read()"),
    Row("File.download", "run.file('note.txt').download(root='down', replace=True).name"),
    Row("File.download", "run.file('note.txt').download(replace=True).name"),
    Row("File.download", "run.file('note.txt').download('./down/', replace=True).name"),
    Row("File.download", "run.file('note.txt').download(Path('down'), True).name"),
    Row("File.to_html", "run.file('note.txt').to_html()"),
    Row("File.display", "run.file('note.txt').display()"),
    Row("File.__repr__", "repr(run.file('note.txt'))"),
    Row(
        "Run.upload_file",
        "Path('up').mkdir()\n_ = Path('up/new.txt').write_text('new')\n"
        "run.upload_file('up/new.txt').name",
    ),
    Row("Run.upload_file", "run.file('up/new.txt').download(root='down').read()"),
    Row("Run.upload_file", "run.upload_file('up/new.txt', root='up').name"),
    Row("Run.upload_file", "run.upload_file('none-such.txt')"),
    Row("File.delete", "run.file('new.txt').delete()"),
    Row("File.delete", "[f.name for f in run.files(names=['new.txt'])]"),
    Row("Run.console_logs", "[line.line for line in run.console_logs()][:2]"),
    Row("Run.console_logs", "[line.line for line in run.console_logs(last=1)]"),
    Row("Run.console_logs", "run.console_logs(per_page=1)[1].line"),
    Row(
        "Run.console_logs",
        "run.console_logs(last=0) and 1 if not is_runlake else 'InvalidArgument'",
        "runlake",
        "`last=0` raises; the SDK returns an object without lines",
        "'InvalidArgument'",
    ),
]

EDITS = [
    Row(
        "Run.update",
        "edited = api.run(f'{entity}/{project}/small0')\n"
        "edited.config['lr'] = 0.3\nedited.config['new'] = {'a': [1, 2]}\n"
        "edited.name = 'renamed'\nedited.notes = 'noted'\nedited.tags = ['x', 'y']\n"
        "edited.update()",
    ),
    Row(
        "Run.update",
        "again = api.run(f'/{entity}/{project}/small0')\n"
        "[again.config, again.name, again.notes, again.tags, again.state, again.lastHistoryStep]",
    ),
    Row("Run.rawconfig", "sorted(again.rawconfig)"),
    Row("Run.save", "edited.group = 'g2'\nedited.save()"),
    Row("Run.save", "again.load(force=True)['group']"),
    Row(
        "Summary.update",
        "edited.summary.update({'top': {'acc': 1.5}, 'nan': float('nan')})\n"
        "[edited.summary['top']['acc'], edited.summary['nan']]",
        "runlake",
        "NaN is None at once, as the backend stores it: JSON has no NaN",
        "[1.5, 'None']",
    ),
    Row(
        "Summary.update",
        "_ = again.load(force=True)\napi.flush()\n"
        "fresh = api.run(f'{entity}/{project}/small0')\n"
        "[fresh.summary['top']['acc'], fresh.summary.get('nan')]",
    ),
    Row("Summary.__setitem__", "edited.summary['one'] = 1\nedited.summary['one']"),
    Row("Summary.__setitem__", "edited.summary['top']['acc'] = 2\nedited.summary['top']['acc']"),
    Row(
        "Summary.update",
        "edited.summary.update()\napi.flush()\n"
        "fresh = api.run(f'{entity}/{project}/small0')\n"
        "[fresh.summary['one'], fresh.summary['top']['acc']]",
    ),
    Row("Summary.__delitem__", "del edited.summary['one']\n'one' in edited.summary"),
    Row("Summary.get", "edited.summary.get('acc'), edited.summary.get('none such')"),
    Row("Summary.keys", "sorted(edited.summary.keys())"),
    Row("Summary.items", "sorted(key for key, _ in edited.summary.items())"),
    Row("Run.update_state", "failed = api.run(f'{entity}/{project}/small2')\nfailed.state"),
    Row("Run.update_state", "failed.update_state('pending'), failed.state"),
    Row("Run.update_state", "failed.update_state('none such')"),
    Row("Run.update_state", "edited.update_state('pending')"),
    Row("Run.wait_until_finished", "run.wait_until_finished(), run.state"),
    Row("Run.stop", "failed.stop()"),
    Row(
        "Run.create",
        "from importlib import import_module\n"
        "Run = import_module('runlake' if is_runlake else 'wandb.apis.public').Run\n"
        "made = Run.create(api=api, project=project, entity=entity, state='pending', "
        "run_id='made')\n[made.id, made.name, made.state, made.config, made.path]",
    ),
    Row("Run.create", "made.load(force=True)['name'], api.run(f'{entity}/{project}/made').state"),
    Row("Run.create", "len(Run.create(api=api, project=project, entity=entity).id)"),
    Row("Run.id", "made.id = 'other'\nmade.id"),
    Row("Run.name", "made.name = 'other'\nmade.name"),
    Row("Run.delete", "gone = api.run(f'{entity}/{project}/small1')\ngone.delete()"),
    Row("Run.delete", "api.flush()\napi.run(f'{entity}/{project}/small1')"),
    Row("Run.delete", "gone.delete()"),
    Row("Run.wait_until_finished", "gone.wait_until_finished()"),
]

ARTIFACTS = [
    Row("Run.logged_artifacts", "sorted(a.name for a in run.logged_artifacts())"),
    Row("Run.logged_artifacts", "len(run.logged_artifacts(per_page=1))"),
    Row("Run.used_artifacts", "[a.name for a in run.used_artifacts()]"),
    Row(
        "Run.use_artifact",
        "model = api.artifact(f'{entity}/{project}/model:latest')\n"
        "run.use_artifact(model, use_as='input') is model",
    ),
    Row("Run.used_artifacts", "sorted(a.name for a in run.used_artifacts())"),
    Row("Run.use_artifact", "run.use_artifact('model:latest')"),
    Row(
        "Run.log_artifact",
        "dataset = api.artifact(f'{entity}/{project}/dataset:latest')\n"
        "run.log_artifact(dataset, aliases=['again']) is dataset",
    ),
    Row("Run.log_artifact", "run.log_artifact('dataset:latest')"),
    Row("Run.logged_artifacts", "'dataset:v0' in [a.name for a in run.logged_artifacts()]"),
]

RUN_ROWS = [*PROPERTIES, *LOADING, *HISTORY, *FILES, *ARTIFACTS, *EDITS]
