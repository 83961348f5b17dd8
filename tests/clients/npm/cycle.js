// The whole cycle of a portal through npm's soap: `node cycle.js PACKAGE URL OWNER FOLDER`, where PACKAGE is
// "soap" (the newest) or "soap017". Prints what it saw as JSON; leaves the output in FOLDER/fetched.out.
"use strict";

const fs = require("fs");
const path = require("path");
const soap = require(process.argv[2]);

const [url, owner, folder] = process.argv.slice(3);
const NOTE = 'Gr\u00fc\u00dfe <&> "\u4e16\u754c" \u2713';
const pause = () => new Promise((done) => setTimeout(done, 100));

// Both generations know callbacks only in this one form.
function connect(wsdl) {
  return new Promise((done, fail) => {
    soap.createClient(`${url}/${wsdl}`, {}, (error, client) => {
      if (error) return fail(error);
      done((operation, args) =>
        new Promise((answered, failed) => {
          client[operation](args || {}, (problem, result) => (problem ? failed(problem) : answered(result)));
        }));
    });
  });
}

const list = (item) => (item === undefined || item === null ? [] : [].concat(item));
const asDict = (ad) => Object.fromEntries(list(ad.item).map((i) => [i.name, textOf(i.value)]));
const textOf = (value) => (value === null || value === undefined ? "" : String(value));
const attribute = (name, type, value) => ({ name, type, value });

function edited(template, changes) {
  const names = new Set(changes.map((change) => change.name));
  const kept = list(template.item).filter((item) => !names.has(item.name));
  return { item: kept.map((i) => attribute(i.name, i.type, textOf(i.value))).concat(changes) };
}

async function submitJobs(schedd, data) {
  const begun = (await schedd("beginTransaction", { duration: 60 })).response.transaction;
  const transaction = (await schedd("extendTransaction", { transaction: begun, duration: 120 })).response.transaction;
  const clusterId = (await schedd("newCluster", { transaction })).response.integer;
  const jobId = (await schedd("newJob", { transaction, clusterId })).response.integer;
  const here = { transaction, clusterId, jobId };
  const made = (await schedd("createJobTemplate", {
    clusterId, jobId, owner, type: "VANILLA", cmd: "/bin/cat", args: "payload.bin",
  })).response.classAd;
  const jobAd = edited(made, [
    attribute("Out", "STRING-ATTR", "job.out"),
    attribute("TransferInput", "STRING-ATTR", "payload.bin"),
    attribute("PortalNote", "STRING-ATTR", NOTE),
  ]);
  const needs = (await schedd("discoverJobRequirements", { jobAd })).response;
  const declared = [];
  for (let i = 0; i < 2; i++) {
    const file = { ...here, name: "payload.bin", size: data.length, hashType: 0, hash: "" };
    declared.push((await schedd("declareFile", file)).response.code);
  }
  const third = Math.floor(data.length / 3) + 1;
  for (const offset of [0, 2 * third, third]) {
    const piece = data.subarray(offset, offset + third).toString("base64");
    const sent = await schedd("sendFile", { ...here, name: "payload.bin", offset, data: piece });
    if (sent.response.code !== "SUCCESS") throw new Error(JSON.stringify(sent));
  }
  const own = edited(jobAd, [attribute("Cmd", "STRING-ATTR", "payload.bin")]);
  const submitted = (await schedd("submit", { ...here, jobAd: own })).response;
  const second = (await schedd("newJob", { transaction, clusterId })).response.integer;
  const never = (await schedd("createJobTemplate", {
    clusterId, jobId: second, owner, type: "5", cmd: "/bin/sleep", args: "600", requirements: "FALSE",
  })).response.classAd;
  await schedd("submit", { transaction, clusterId, jobId: second, jobAd: edited(never, []) });
  const committed = (await schedd("commitTransaction", { transaction })).response;
  return {
    transaction: begun.id,
    extended: transaction.duration,
    cluster: clusterId,
    jobs: [jobId, second],
    leading: list(made.item).slice(0, 3).map((item) => item.name),
    template: asDict(made),
    requirements: list(needs.requirements.item),
    declared,
    submitted: submitted.status.code,
    committed: committed.code,
    stale: (await schedd("newCluster", { transaction })).response.status.code,
  };
}

const jobOf = async (schedd, where) => asDict((await schedd("getJobAd", where)).response.classAd);

async function awaitCompletion(schedd, clusterId) {
  const constraint = `Owner == "${owner}" && ClusterId == ${clusterId} && ProcId == 0`;
  const states = [];
  for (let i = 0; i < 1500; i++) {
    const answer = (await schedd("getJobAds", { constraint })).response;
    const state = asDict(list(answer.classAdArray.item)[0]).JobStatus;
    if (!states.includes(state)) states.push(state);
    if (state === "4") break;
    await pause();
  }
  return states;
}

async function gone(schedd, where) {
  for (let i = 0; i < 1500; i++) {
    if ((await schedd("getJobAd", where)).response.status.code === "UNKNOWNJOB") return true;
    await pause();
  }
  return false;
}

async function fetch(schedd, where, size) {
  const pieces = [];
  for (let offset = 0; offset < size; offset += 40000) {
    const length = Math.min(40000, size - offset);
    const answer = (await schedd("getFile", { ...where, name: "job.out", offset, length })).response;
    if (answer.status.code !== "SUCCESS") throw new Error(JSON.stringify(answer));
    pieces.push(Buffer.from(answer.data, "base64"));
  }
  return Buffer.concat(pieces);
}

async function steer(schedd, where) {
  const mails = { "email-user": false, "email-admin": false };
  const codes = [];
  const states = [];
  codes.push((await schedd("holdJob", { ...where, reason: 'not "now"', ...mails, "system-hold": true })).response.code);
  const held = await jobOf(schedd, where);
  states.push(held.JobStatus);
  codes.push((await schedd("releaseJob", { ...where, reason: "go on", ...mails })).response.code);
  states.push((await jobOf(schedd, where)).JobStatus);
  codes.push((await schedd("removeJob", { ...where, reason: "enough", "force-removal": false })).response.code);
  states.push((await jobOf(schedd, where)).JobStatus);
  codes.push((await schedd("closeSpool", where)).response.code);
  return { codes, states, reason: held.HoldReason, gone: await gone(schedd, where) };
}

async function askCollector(collector) {
  const machines = await collector("queryStartdAds", { constraint: 'Cpus >= 1 && MyType == "Machine"' });
  const ad = [attribute("MyType", "STRING-ATTR", "Portal"), attribute("Name", "STRING-ATTR", owner)];
  const inserted = [];
  for (let i = 0; i < 2; i++) {
    inserted.push((await collector("insertAd", { type: "GENERIC-AD-TYPE", ad: { item: ad } })).status.code);
  }
  const found = await collector("queryAnyAds", { constraint: `Name == "${owner}"` });
  const nothing = await collector("queryLicenseAds", { constraint: "FALSE" });
  return {
    machines: list(machines.result.item).length,
    inserted,
    found: list(found.result.item).map(asDict),
    nothing: nothing.result ? list(nothing.result.item).length : 0,
    version: (await collector("getVersionString")).response.message,
  };
}

async function main() {
  const schedd = await connect("condorSchedd.wsdl");
  const collector = await connect("condorCollector.wsdl");
  const seen = await submitJobs(schedd, fs.readFileSync(path.join(folder, "payload.bin")));
  const first = { clusterId: seen.cluster, jobId: seen.jobs[0] };
  seen.rescheduled = (await schedd("requestReschedule")).response.code;
  seen.states = await awaitCompletion(schedd, seen.cluster);
  seen.final = await jobOf(schedd, first);
  const files = list((await schedd("listSpool", first)).response.info.item);
  seen.spool = Object.fromEntries(files.map((file) => [file.name, Number(file.size)]));
  fs.writeFileSync(path.join(folder, "fetched.out"), await fetch(schedd, first, seen.spool["job.out"]));
  seen.closed = (await schedd("closeSpool", first)).response.code;
  seen.gone = await gone(schedd, first);
  seen.second = await steer(schedd, { clusterId: seen.cluster, jobId: seen.jobs[1] });
  seen.version = (await schedd("getVersionString")).response.message;
  seen.platform = (await schedd("getPlatformString")).response.message;
  seen.collector = await askCollector(collector);
  console.log(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
