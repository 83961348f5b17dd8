// The submit side of the whole cycle through gSOAP: `schedd URL OWNER FOLDER`.
// Reads FOLDER/payload.bin, writes what the job left to FOLDER/fetched.out, prints what it saw as JSON.
#include "soapcondorScheddProxy.h"
#include "condorSchedd.nsmap"
#include "portal.h"
#include <algorithm>
#include <unistd.h>

static const std::string NOTE = "Gr\u00fc\u00dfe <&> \"\u4e16\u754c\" \u2713";
using Proxy = condorScheddProxy;

struct Portal {
    std::string url;
    std::string owner;
    Proxy schedd{SOAP_C_UTFSTRING | SOAP_XML_STRICT};
    ns1__Transaction *txn = nullptr;
    int cluster = 0;

    Portal(std::string server, std::string name) : url(std::move(server)), owner(std::move(name)) {
        schedd.soap_endpoint = url.c_str();
    }

    std::string *text(const std::string &value) { return soap_new_std__string_of(value); }
    std::string code_of(const ns1__Status *status) { return code(schedd.soap, status); }

    ns1__ClassAdStruct *make_template(int job, const char *cmd, const char *args, const char *requirements) {
        _ns1__createJobTemplate wanted;
        wanted.clusterId = cluster;
        wanted.jobId = job;
        wanted.owner = text(owner);
        wanted.type = ns1__UniverseType__VANILLA;
        wanted.cmd = text(cmd);
        wanted.args = text(args);
        if (requirements) wanted.requirements = text(requirements);
        return ask(schedd, &Proxy::createJobTemplate, wanted).response->classAd;
    }

    void set(ns1__ClassAdStruct *ad, const std::string &name, const std::string &value) {
        auto &items = ad->item;
        items.erase(std::remove_if(items.begin(), items.end(), [&](auto *i) { return i->name == name; }), items.end());
        items.push_back(attribute(schedd.soap, name, ns1__ClassAdAttrType__STRING_ATTR, value));
    }

    int new_job() {
        _ns1__newJob wanted;
        wanted.transaction = txn;
        wanted.clusterId = cluster;
        return *ask(schedd, &Proxy::newJob, wanted).response->integer;
    }

    std::string declare(int job, int size) {
        _ns1__declareFile wanted;
        wanted.transaction = txn;
        wanted.clusterId = cluster;
        wanted.jobId = job;
        wanted.name = text("payload.bin");
        wanted.size = size;
        wanted.hashType = ns1__HashType__NOHASH;
        return code_of(ask(schedd, &Proxy::declareFile, wanted).response);
    }

    void send(int job, std::string &data) {
        const int size = static_cast<int>(data.size()), third = size / 3 + 1;
        for (int offset : {0, 2 * third, third}) {
            xsd__base64Binary piece;
            piece.__ptr = reinterpret_cast<unsigned char *>(&data[offset]);
            piece.__size = std::min(third, size - offset);
            _ns1__sendFile wanted;
            wanted.transaction = txn;
            wanted.clusterId = cluster;
            wanted.jobId = job;
            wanted.name = text("payload.bin");
            wanted.offset = offset;
            wanted.data = &piece;
            if (ask(schedd, &Proxy::sendFile, wanted).response->code != ns1__StatusCode__SUCCESS) std::exit(1);
        }
    }

    std::string submit(int job, ns1__ClassAdStruct *ad) {
        _ns1__submit wanted;
        wanted.transaction = txn;
        wanted.clusterId = cluster;
        wanted.jobId = job;
        wanted.jobAd = ad;
        return code_of(ask(schedd, &Proxy::submit, wanted).response->status);
    }

    // Any operation of one job, outside a transaction.
    template <class Request> Request of_job(int job) {
        Request wanted;
        wanted.clusterId = cluster;
        wanted.jobId = job;
        return wanted;
    }

    Dict job_ad(int job) {
        return as_dict(ask(schedd, &Proxy::getJobAd, of_job<_ns1__getJobAd>(job)).response->classAd);
    }

    std::vector<std::string> await_completion() {
        _ns1__getJobAds wanted;
        wanted.constraint = text("Owner == \"" + owner + "\" && ClusterId == " + std::to_string(cluster) + " && ProcId == 0");
        std::vector<std::string> states;
        for (int i = 0; i < 1500; i++) {
            auto answer = ask(schedd, &Proxy::getJobAds, wanted);
            auto state = as_dict(answer.response->classAdArray->item.at(0))["JobStatus"];
            if (std::find(states.begin(), states.end(), state) == states.end()) states.push_back(state);
            if (state == "4") break;
            usleep(100000);
        }
        return states;
    }

    bool gone(int job) {
        for (int i = 0; i < 1500; i++) {
            auto answer = ask(schedd, &Proxy::getJobAd, of_job<_ns1__getJobAd>(job));
            if (answer.response->status->code == ns1__StatusCode__UNKNOWNJOB) return answer.response->classAd == nullptr;
            usleep(100000);
        }
        return false;
    }

    std::string fetch(int job, int size) {
        std::string data;
        while (static_cast<int>(data.size()) < size) {
            auto wanted = of_job<_ns1__getFile>(job);
            wanted.name = text("job.out");
            wanted.offset = static_cast<int>(data.size());
            wanted.length = std::min(40000, size - wanted.offset);
            auto answer = ask(schedd, &Proxy::getFile, wanted);
            if (answer.response->status->code != ns1__StatusCode__SUCCESS) std::exit(1);
            data.append(reinterpret_cast<char *>(answer.response->data->__ptr), answer.response->data->__size);
        }
        return data;
    }

    std::string close(int job) {
        return code_of(ask(schedd, &Proxy::closeSpool, of_job<_ns1__closeSpool>(job)).response);
    }

    std::string steer(int job) {
        std::vector<std::string> codes, states;
        auto hold = of_job<_ns1__holdJob>(job);
        hold.reason = text("not \"now\"");
        hold.system_hold = true;
        codes.push_back(code_of(ask(schedd, &Proxy::holdJob, hold).response));
        auto held = job_ad(job);
        states.push_back(held["JobStatus"]);
        auto release = of_job<_ns1__releaseJob>(job);
        release.reason = text("go on");
        codes.push_back(code_of(ask(schedd, &Proxy::releaseJob, release).response));
        states.push_back(job_ad(job)["JobStatus"]);
        auto remove = of_job<_ns1__removeJob>(job);
        remove.reason = text("enough");
        codes.push_back(code_of(ask(schedd, &Proxy::removeJob, remove).response));
        states.push_back(job_ad(job)["JobStatus"]);
        codes.push_back(close(job));
        return Object().add("codes", codes).add("states", states).add("reason", held["HoldReason"]).add("gone", gone(job)).str();
    }

    void begin(Object &seen) {
        _ns1__beginTransaction begin;
        begin.duration = 60;
        txn = ask(schedd, &Proxy::beginTransaction, begin).response->transaction;
        seen.add("transaction", *txn->id);
        _ns1__extendTransaction extend;
        extend.transaction = txn;
        extend.duration = 120;
        txn = ask(schedd, &Proxy::extendTransaction, extend).response->transaction;
        seen.add("extended", *txn->duration);
        _ns1__newCluster cluster_wanted;
        cluster_wanted.transaction = txn;
        cluster = *ask(schedd, &Proxy::newCluster, cluster_wanted).response->integer;
        seen.add("cluster", cluster);
    }

    void submit_jobs(Object &seen, std::string data) {
        begin(seen);
        const int job = new_job();
        auto *ad = make_template(job, "/bin/cat", "payload.bin", nullptr);
        std::vector<std::string> leading;
        for (int i = 0; i < 3; i++) leading.push_back(ad->item.at(i)->name);
        seen.add("leading", leading).add("template", as_dict(ad));
        set(ad, "Out", "job.out");
        set(ad, "TransferInput", "payload.bin");
        set(ad, "PortalNote", NOTE);
        _ns1__discoverJobRequirements discover;
        discover.jobAd = ad;
        seen.add("requirements", ask(schedd, &Proxy::discoverJobRequirements, discover).response->requirements->item);
        std::vector<std::string> declared;
        for (int i = 0; i < 2; i++) declared.push_back(declare(job, static_cast<int>(data.size())));
        send(job, data);
        set(ad, "Cmd", "payload.bin");
        seen.add("declared", declared).add("submitted", submit(job, ad));
        const int second = new_job();
        submit(second, make_template(second, "/bin/sleep", "600", "FALSE"));
        _ns1__commitTransaction commit;
        commit.transaction = txn;
        seen.add("committed", code_of(ask(schedd, &Proxy::commitTransaction, commit).response));
        _ns1__newCluster stale;
        stale.transaction = txn;
        seen.add("stale", code_of(ask(schedd, &Proxy::newCluster, stale).response->status));
        seen.add("jobs", std::vector<int>{job, second});
    }

    void finish(Object &seen, const std::string &folder) {
        seen.add("states", await_completion()).add("final", job_ad(0));
        int size = -1;
        Object spool;
        for (auto *file : ask(schedd, &Proxy::listSpool, of_job<_ns1__listSpool>(0)).response->info->item) {
            spool.add(file->name, static_cast<int>(file->size));
            if (file->name == "job.out") size = static_cast<int>(file->size);
        }
        seen.raw("spool", spool.str());
        std::ofstream(folder + "/fetched.out", std::ios::binary) << fetch(0, size);
        seen.add("closed", close(0)).add("gone", gone(0)).raw("second", steer(1));
    }

  private:
    std::string *soap_new_std__string_of(const std::string &value) {
        auto *made = soap_new_std__string(schedd.soap);
        *made = value;
        return made;
    }
};

int main(int, char **argv) {
    Portal portal(argv[1], argv[2]);
    const std::string folder = argv[3];
    std::ifstream input(folder + "/payload.bin", std::ios::binary);
    Object seen;
    portal.submit_jobs(seen, std::string(std::istreambuf_iterator<char>(input), {}));
    auto rescheduled = ask(portal.schedd, &Proxy::requestReschedule, _ns1__requestReschedule());
    seen.add("rescheduled", portal.code_of(rescheduled.response));
    portal.finish(seen, folder);
    seen.add("version", *ask(portal.schedd, &Proxy::getVersionString, _ns1__getVersionString()).response->message);
    seen.add("platform", *ask(portal.schedd, &Proxy::getPlatformString, _ns1__getPlatformString()).response->message);
    std::cout << seen.str() << std::endl;
}
