"""Find runs by config, summary, tags, state and name, in an order."""

import sys

import wandb

entity, project = sys.argv[1:3]
api = wandb.Api({"entity": entity, "project": project})


def show(what, filters=None, **options):
    runs = api.runs(f"{entity}/{project}", filters, **options)
    print(what, len(runs), [run.id for run in runs])


show("all", order="+created_at")
show("newest first", order="-created_at")
show("by accuracy", order="-summary_metrics.acc")
show("config", {"config.lr": 0.1})
show("nested config", {"config.net.depth": 2}, order="+config.lr")
show("range", {"config.lr": {"$gt": 0.005, "$lt": 0.2}}, order="+config.lr")
show("or", {"$or": [{"config.lr": 0.1}, {"tags": "tuned"}]}, order="+created_at", per_page=2)
show("and", {"$and": [{"state": "finished"}, {"config.optimizer": "adam"}]}, order="+created_at")
show("summary", {"summary_metrics.acc": {"$gte": 0.9}}, order="+created_at")
show("tags", {"tags": {"$in": ["baseline", "delta"]}}, order="+created_at")
show("state", {"state": {"$ne": "finished"}})
show("regex", {"display_name": {"$regex": "^run (al|be)"}}, order="+created_at")
show("group", {"group": "second"}, order="+created_at")
show("sweep", {"sweep": "search"}, order="+created_at")
show("job type", {"jobType": "train", "name": "beta"})
show("nothing", {"config.lr": 42})
runs = api.runs(order="+created_at", per_page=3)
print([run.name for run in runs[1:3]], runs[0].path, runs[0].url.rpartition("/")[2])
print(api.run("alpha").id, api.run(f"{project}/alpha").id)
print(sorted(p.name for p in api.projects(entity) if p.name == project))
print(api.from_path(f"{entity}/{project}").name, api.from_path(f"{entity}/{project}/beta").id)
