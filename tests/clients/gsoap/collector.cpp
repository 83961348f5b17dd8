// The collector side of the whole cycle through gSOAP: `collector URL OWNER`; prints what it saw as JSON.
#include "soapcondorCollectorProxy.h"
#include "condorCollector.nsmap"
#include "portal.h"

using Proxy = condorCollectorProxy;

template <class Request> Request asking(std::string constraint) {
    static std::string kept;
    kept = std::move(constraint);
    Request wanted;
    wanted.constraint = &kept;
    return wanted;
}

int main(int, char **argv) {
    const std::string owner = argv[2];
    Proxy collector(argv[1], SOAP_C_UTFSTRING | SOAP_XML_STRICT);
    Object seen;
    auto machines = asking<_ns1__queryStartdAds>("Cpus >= 1 && MyType == \"Machine\"");
    seen.add("machines", static_cast<int>(ask(collector, &Proxy::queryStartdAds, machines).result->item.size()));

    ns1__ClassAdStruct ad;
    ad.item.push_back(attribute(collector.soap, "MyType", ns1__ClassAdAttrType__STRING_ATTR, "Portal"));
    ad.item.push_back(attribute(collector.soap, "Name", ns1__ClassAdAttrType__STRING_ATTR, owner));
    _ns1__insertAd insert;
    insert.type = ns1__ClassAdType__GENERIC_AD_TYPE;
    insert.ad = &ad;
    std::vector<std::string> inserted;
    for (int i = 0; i < 2; i++) inserted.push_back(code(collector.soap, ask(collector, &Proxy::insertAd, insert).status));
    seen.add("inserted", inserted);

    auto named = asking<_ns1__queryAnyAds>("Name == \"" + owner + "\"");
    std::vector<Dict> found;
    for (auto *one : ask(collector, &Proxy::queryAnyAds, named).result->item) found.push_back(as_dict(one));
    seen.add("found", found);
    auto none = asking<_ns1__queryLicenseAds>("FALSE");
    seen.add("nothing", static_cast<int>(ask(collector, &Proxy::queryLicenseAds, none).result->item.size()));
    seen.add("version", *ask(collector, &Proxy::getVersionString, _ns1__getVersionString()).response->message);
    std::cout << seen.str() << std::endl;
}
