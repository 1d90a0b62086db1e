// Calls every operation for blobs that a JavaScript package has, and tells which it did not
// call: the same report as every_blob_operation.py.
//
//     node every_blob_operation.cjs SETTINGS.json

const fs = require("node:fs");

/** Notes which operations of which classes were called from outside. */
class Recorder {
  constructor(classes, isPlumbing) {
    this.classes = classes;
    this.isPlumbing = isPlumbing;
    this.called = new Set();
  }

  /** A client whose calls are noted; calls that it makes of itself are not. */
  wrap(thing) {
    if (!this.classes.some((it) => thing instanceof it)) return thing;
    const recorder = this;
    return new Proxy(thing, {
      get(target, name) {
        if (name === "bare") return target;
        const value = Reflect.get(target, name, target);
        if (typeof value !== "function" || typeof name === "symbol") return value;
        return (...args) => {
          recorder.called.add(recorder.owned(target, name));
          const answer = value.apply(target, args.map((it) => it?.bare ?? it));
          return answer instanceof Promise ? answer.then((it) => recorder.wrap(it)) : recorder.wrap(answer);
        };
      },
    });
  }

  /** `Class.name`, with the class that defines it: what is inherited counts once. */
  owned(thing, name) {
    for (let at = Object.getPrototypeOf(thing); at; at = Object.getPrototypeOf(at)) {
      if (Object.hasOwn(at, name)) return `${at.constructor.name}.${name}`;
    }
    return `?.${name}`;
  }

  operations() {
    const found = new Set();
    for (const kind of this.classes) {
      for (let at = kind.prototype; at && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
        for (const name of Object.getOwnPropertyNames(at)) {
          const { value } = Object.getOwnPropertyDescriptor(at, name);
          const owned = `${at.constructor.name}.${name}`;
          const isOne = typeof value === "function" && name !== "constructor" && !name.startsWith("_");
          if (isOne && !this.isPlumbing(owned)) found.add(owned);
        }
      }
    }
    return found;
  }
}

/** Calls what the service must refuse with this code. */
async function refused(code, call) {
  try {
    await call();
  } catch (refusal) {
    const said = `${refusal.code} ${refusal.details?.errorCode} ${refusal.message}`;
    if (!said.includes(code)) throw new Error(`refused otherwise: ${said}`);
    return;
  }
  throw new Error(`was not refused with ${code}`);
}

async function main() {
  const settings = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
  const module = settings.family === "azure-storage" ? "./blob_steps_legacy.cjs" : "./blob_steps_current.cjs";
  const { recorder, steps, leftOut } = require(module)(settings, { Recorder, refused });
  const report = { passed: [], unserved: {}, failed: {} };
  let current = "";
  process.on("exit", (code) => {
    // A step whose promise is never kept ends the program in silence.
    if (code !== 0 || !report.called) console.error(`\`${current}\` never came to its end`);
  });
  for (const [title, step] of Object.entries(steps)) {
    current = title;
    try {
      await step();
      report.passed.push(title);
    } catch (cause) {
      const isUnserved = cause.statusCode === 501 || String(cause.message).includes("NotImplemented");
      if (isUnserved) report.unserved[title] = String(cause.message).split("\n")[0];
      else report.failed[title] = cause.stack ?? String(cause);
    }
  }
  const operations = recorder.operations();
  report.called = [...recorder.called].filter((it) => operations.has(it)).sort();
  report.left_out = leftOut;
  report.never_called = [...operations].filter((it) => !recorder.called.has(it) && !(it in leftOut)).sort();
  console.log(JSON.stringify(report, null, 1));
}

main().then(() => process.exit(0));
