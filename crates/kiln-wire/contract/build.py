#!/usr/bin/env python3
"""Writes contract.json from the matrix of all api-versions: build.py MATRIX OUT."""
import json
import sys

NEWEST = 19
# Bodies that the newest packages send as the whole resource: still read as these models.
KEPT = {"JobUpdateParameter", "JobScheduleUpdateParameter", "TaskUpdateParameter",
        "CertificateAddParameter"}

# Typed more narrowly by single packages than what the service takes.
ANY = {("VMExtension", "settings"), ("VMExtension", "protectedSettings"),
       ("PoolSpecification", "resourceTags")}


def main(matrix_path, out_path):
    matrix = json.load(open(matrix_path))
    models = {}
    for name, model in matrix["models"].items():
        fields = {}
        for field, intervals in model["fields"].items():
            kept = [list(interval) for interval in intervals]
            if name in KEPT and kept[-1][2] == 17:
                kept[-1][2] = 18 if name.startswith("Certificate") else NEWEST
            if (name, field) in ANY:
                kept = [["any", kept[0][1], kept[-1][2]]]
            fields[field] = kept
        models[name] = fields
    enums = {
        name: {value: ranges for value, ranges in values.items() if value != "unmapped"}
        for name, values in matrix["enums"].items()
    }
    operations = {key: {"method": op["method"], "path": op["path"], "in": op["in"]}
                  for key, op in matrix["operations_by_id"].items()}
    with open(out_path, "w") as out:
        out.write("{\n")
        for title, table in (("models", models), ("enums", enums), ("operations", operations)):
            rows = [json.dumps(k) + ":" + json.dumps(v, separators=(",", ":"))
                    for k, v in sorted(table.items())]
            out.write(f'"{title}":{{\n' + ",\n".join(rows) + "\n}" + ("" if title == "operations" else ",") + "\n")
        out.write("}\n")


main(*sys.argv[1:])
