// What both gSOAP programs need: JSON on standard output, ads as maps. Include after a generated proxy.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

using Dict = std::map<std::string, std::string>;

inline std::string quoted(const std::string &text) {
    std::string out = "\"";
    for (char raw : text) {
        const auto c = static_cast<unsigned char>(raw);
        char escape[8];
        if (c == '"' || c == '\\' || c < 0x20) {
            std::snprintf(escape, sizeof escape, "\\u%04x", c);
            out += escape;
        } else {
            out += raw;
        }
    }
    return out + "\"";
}

inline std::string json(const std::string &text) { return quoted(text); }
inline std::string json(const char *text) { return quoted(text); }
inline std::string json(bool value) { return value ? "true" : "false"; }
inline std::string json(int value) { return std::to_string(value); }

inline std::string json(const Dict &dict) {
    std::string out;
    for (const auto &[name, value] : dict) out += (out.empty() ? "" : ",") + quoted(name) + ":" + quoted(value);
    return "{" + out + "}";
}

template <class Value> std::string json(const std::vector<Value> &values) {
    std::string out;
    for (const auto &value : values) out += (out.empty() ? "" : ",") + json(value);
    return "[" + out + "]";
}

class Object {
  public:
    template <class Value> Object &add(const std::string &name, const Value &value) {
        return raw(name, json(value));
    }
    Object &raw(const std::string &name, const std::string &value) {
        text += (text.empty() ? "" : ",") + quoted(name) + ":" + value;
        return *this;
    }
    std::string str() const { return "{" + text + "}"; }

  private:
    std::string text;
};

inline Dict as_dict(const ns1__ClassAdStruct *ad) {
    Dict dict;
    for (const auto *item : ad->item) dict[item->name] = item->value;
    return dict;
}

// Memory of `new_` belongs to the soap context and goes with it, as gSOAP's users expect.
inline ns1__ClassAdStructAttr *attribute(struct soap *soap, const std::string &name,
                                            enum ns1__ClassAdAttrType type, const std::string &value) {
    return soap_new_set_ns1__ClassAdStructAttr(soap, name, type, value);
}

inline std::string code(struct soap *soap, const ns1__Status *status) {
    return soap_ns1__StatusCode2s(soap, status->code);
}

// The answer to one call, or the fault of it on standard error and the end.
template <class Proxy, class Request, class Answer>
Answer ask(Proxy &proxy, int (Proxy::*operation)(Request *, Answer &), Request request) {
    Answer answer;
    request.soap = proxy.soap;
    if ((proxy.*operation)(&request, answer) != SOAP_OK) {
        proxy.soap_print_fault(stderr);
        std::exit(1);
    }
    return answer;
}
