// soap-htcondor as its README uses it, unmodified: `node condor.js URL OWNER FOLDER`.
// The WSDL is the served one, and once more the one the package carries.
"use strict";

const path = require("path");
const HTCondor = require("soap-htcondor");

const [url, owner, folder] = process.argv.slice(2);
const carried = path.join(path.dirname(require.resolve("soap-htcondor")), "wsdl");

const promised = (call) =>
  new Promise((done, fail) => call((error, result) => (error ? fail(error) : done(result))));
const asDict = (ad) => Object.fromEntries([].concat(ad.item).map((item) => [item.name, item.value]));

async function versions(wsdl) {
  const collector = await promised((cb) => new HTCondor({ url: `${url}/`, wsdl }).createCollector(cb));
  const machines = await promised((cb) => collector.queryStartdAds({ constraint: "Cpus >= 1" }, cb));
  return {
    version: await promised((cb) => collector.getVersionString(cb)),
    platform: await promised((cb) => collector.getPlatformString(cb)),
    machines: machines.result.item.length,
  };
}

async function jobs(wsdl) {
  const schedd = await promised((cb) => new HTCondor({ url: `${url}/`, wsdl }).createSchedduler(cb));
  const job = {
    universe: "VANILLA", executable: "/bin/sleep", arguments: "31", notification: "never", owner,
    type: "5", requirements: "TRUE", shouldtransferfiles: "yes", when_to_transfer_output: "ON_EXIT",
    out: "example1.out", err: "example1.err", log: "example1.log", iwd: "/tmp", queue: 1,
  };
  const dag = { dagLocation: path.join(folder, "dagman.dag"), owner };
  const docker = { ...job, dockerimage: "haskell", executable: "/usr/bin/ruby", arguments: '-e "puts 2+2"' };
  const made = {
    job: asDict(await promised((cb) => schedd.createJob(job, cb))),
    dag: asDict(await promised((cb) => schedd.createDagJob(dag, cb))),
    docker: asDict(await promised((cb) => schedd.createDockerJob(docker, cb))),
  };
  const queue = await promised((cb) => schedd.getJobAds(null, `Owner == "${owner}"`, cb));
  return { ...made, queued: [].concat(queue.item).length };
}

async function main() {
  console.log(JSON.stringify({
    served: await versions(`${url}/condorCollector.wsdl`),
    carried: await versions(path.join(carried, "condorCollector.wsdl")),
    first: await jobs(`${url}/condorSchedd.wsdl`),
    second: await jobs(path.join(carried, "condorSchedd.wsdl")),
  }));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
