"""Asked in an environment with Sail; prints JSON."""

import json
import sys

from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

given = json.loads(sys.stdin.read())
server = SparkConnectServer("127.0.0.1", 0)
server.start(background=True)
_, port = server.listening_address
spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
for name, place in given["places"].items():
    spark.read.format("iceberg").load(place).createOrReplaceTempView(name)
answers = {
    name: [list(row) for row in spark.sql(query).collect()]
    for name, query in given["queries"].items()
}
sys.stdout.write(json.dumps(answers))
spark.stop()
server.stop()
