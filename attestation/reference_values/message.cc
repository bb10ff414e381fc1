#include "attestation/reference_values/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "attestation/jose/jwk.h"
#include "attestation/reference_values/corim.h"
#include "base/json.h"
#include "tee/digest.h"

namespace coffer::rv {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kWhat = "reference values";
constexpr std::string_view kVersion = "0.1.0";

std::unexpected<Error> refuse(std::string why) {
  return fail(Code::kInvalidArgument, fmt::format("read {}: {}", kWhat, why));
}

class Reader {
 public:
  Reader(BytesView message, const MessageContext& context) : context_(context) {
    from_.digest = to_hex(tee::sha256(message));
    from_.registrar = context.registrar;
    from_.registered = context.now;
  }

  Result<std::vector<ReferenceValue>> json(BytesView message) {
    COFFER_TRY(const Json document, parse_json(as_text(message), kWhat, limits()));
    if (document.is_array()) {
      COFFER_TRY_VOID(check_unsigned());
      return list(document);
    }
    if (!document.is_object()) return refuse("want an object or an array");
    if (is_rvps(document)) return rvps(document);
    COFFER_TRY_VOID(check_unsigned());
    from_.format = "json";
    return object(document);
  }

  Result<std::vector<ReferenceValue>> corim(BytesView bytes) {
    COFFER_TRY(const CorimFile file, parse_corim(bytes));
    from_.format = "corim";
    from_.source = file.corim.id;
    ReferenceValue common = fresh({});
    COFFER_TRY_VOID(limit(file.corim.not_before, file.corim.not_after, "the manifest", common));
    if (file.signature) {
      COFFER_TRY(from_.signer, signer_of(file.signature->message));
      // A manifest may be for later; a signature has to be good now.
      ReferenceValue now = fresh({});
      COFFER_TRY_VOID(
          limit(file.signature->not_before, file.signature->not_after, "the signature", now));
      if (now.not_before > context_.now) return not_valid("the signature is not valid yet");
      common.expires = std::min(common.expires, now.expires);
    } else {
      COFFER_TRY_VOID(check_unsigned());
    }
    std::vector<ReferenceValue> out;
    for (const auto& [name, text] : file.corim.values) {
      ReferenceValue item = fresh(name);
      item.not_before = common.not_before;
      item.expires = common.expires;
      COFFER_TRY_VOID(finish(std::move(item), Json::parse(text), out));
    }
    return out;
  }

 private:
  static std::unexpected<Error> not_valid(std::string_view why) {
    return fail(Code::kFailedPrecondition, fmt::format("read {}: {}", kWhat, why));
  }

  [[nodiscard]] Status check_unsigned() const {
    if (!context_.signers.required) return {};
    return fail(Code::kUnauthenticated,
                fmt::format("read {}: they are not signed, and reference_values.require_signature "
                            "is set (want a signed CoRIM)",
                            kWhat));
  }

  // Which of the signers has signed it: the thumbprint of its key.
  [[nodiscard]] Result<std::string> signer_of(const cbor::Sign1& message) const {
    for (const auto& key : context_.signers.keys) {
      if (cbor::verify_sign1(message, key)) return jose::jwk_thumbprint(key);
    }
    return fail(Code::kUnauthenticated,
                fmt::format("read {}: the CoRIM is signed by none of the {} keys of "
                            "reference_values.trusted_keys",
                            kWhat, context_.signers.keys.size()));
  }

  // Not-after is the last second.
  Status limit(std::optional<tee::UnixTime> not_before, std::optional<tee::UnixTime> not_after,
               std::string_view what, ReferenceValue& out) const {
    if (not_before) out.not_before = *not_before;
    if (not_after) out.expires = *not_after + 1;
    if (out.expires > context_.now) return {};
    return not_valid(fmt::format("{} expired at {}", what, tee::format_rfc3339(*not_after)));
  }

  static JsonLimits limits() {
    return {.max_bytes = kMaxMessageBytes, .max_depth = 16, .refuse_duplicate_keys = true};
  }

  static bool is_rvps(const Json& document) {
    return document.size() == 3 && document.contains("version") && document.contains("type") &&
           document.contains("payload");
  }

  Result<std::vector<ReferenceValue>> rvps(const Json& document) {
    for (const char* key : {"version", "type", "payload"}) {
      if (!document[key].is_string()) return refuse(fmt::format("'{}' is no string", key));
    }
    if (document["version"] != kVersion) {
      return refuse(fmt::format("version: want {}, got {}", kVersion, document["version"].dump()));
    }
    const auto type = document["type"].get<std::string>();
    auto payload = from_base64(document["payload"].get<std::string>());
    if (!payload) return refuse("payload: " + payload.error().message());
    from_.format = type;
    if (type == "corim") return corim(*payload);
    COFFER_TRY_VOID(check_unsigned());
    if (type == "sample") {
      COFFER_TRY(const Json values, parse_json(as_text(*payload), kWhat, limits()));
      if (!values.is_object()) return refuse("payload: want an object of name to value");
      return object(values);
    }
    return fail(
        Code::kUnimplemented,
        fmt::format("read {}: type '{}' is not supported (supported: sample, corim)", kWhat, type));
  }

  Result<std::vector<ReferenceValue>> object(const Json& values) {
    std::vector<ReferenceValue> out;
    for (const auto& [name, value] : values.items()) {
      ReferenceValue item = fresh(name);
      COFFER_TRY_VOID(finish(std::move(item), value, out));
    }
    return out;
  }

  Result<std::vector<ReferenceValue>> list(const Json& values) {
    from_.format = "json";
    std::vector<ReferenceValue> out;
    for (const Json& entry : values) {
      auto done = list_entry(entry, out);
      if (!done) {
        return fail(std::move(done).error().with_context(fmt::format("entry {}", out.size())));
      }
    }
    return out;
  }

  Status list_entry(const Json& entry, std::vector<ReferenceValue>& out) {
    static const std::set<std::string> kKnown = {"name",   "value",      "expiration", "not_before",
                                                 "source", "provenance", "version"};
    if (!entry.is_object() || !entry.contains("value")) {
      return refuse("want {\"name\", \"value\", \"expiration\"}");
    }
    for (const auto& [key, value] : entry.items()) {
      if (!kKnown.contains(key)) return refuse(fmt::format("unknown member '{}'", key));
    }
    COFFER_TRY(const std::string name, text(entry, "name"));
    ReferenceValue item = fresh(name);
    COFFER_TRY(const std::string source, text(entry, "source"));
    if (!source.empty()) item.provenance.source = source;
    COFFER_TRY_VOID(time(entry, "not_before", item.not_before));
    COFFER_TRY_VOID(time(entry, "expiration", item.expires));
    return finish(std::move(item), entry["value"], out);
  }

  static Result<std::string> text(const Json& entry, const char* key) {
    const auto at = entry.find(key);
    if (at == entry.end()) return std::string();
    if (!at->is_string()) return refuse(fmt::format("'{}' is no string", key));
    return at->get<std::string>();
  }

  static Status time(const Json& entry, const char* key, tee::UnixTime& out) {
    COFFER_TRY(const std::string value, text(entry, key));
    if (value.empty()) return {};
    auto parsed = tee::parse_rfc3339(value);
    if (!parsed) return refuse(fmt::format("'{}': {}", key, parsed.error().message()));
    out = *parsed;
    return {};
  }

  [[nodiscard]] ReferenceValue fresh(std::string name) const {
    return {.name = std::move(name),
            .value = {},
            .not_before = from_.registered,
            .expires = from_.registered + kDefaultValidity,
            .provenance = from_};
  }

  Status finish(ReferenceValue item, const Json& value, std::vector<ReferenceValue>& out) {
    COFFER_TRY_VOID(check_value_name(item.name));
    if (!seen_.insert(item.name).second) return refuse(fmt::format("'{}' stands twice", item.name));
    if (out.size() == kMaxValues) return refuse(fmt::format("more than {} values", kMaxValues));
    if (value.is_null()) return refuse(fmt::format("'{}' is null", item.name));
    if (item.expires <= item.not_before) {
      return refuse(fmt::format("'{}': expires before it is valid", item.name));
    }
    item.value = value.dump();
    if (item.value.size() > kMaxValueBytes) {
      return refuse(fmt::format("'{}': {} bytes, at most {} are allowed", item.name,
                                item.value.size(), kMaxValueBytes));
    }
    out.push_back(std::move(item));
    return {};
  }

  const MessageContext& context_;
  Provenance from_;
  std::set<std::string> seen_;
};

}  // namespace

Result<std::vector<ReferenceValue>> parse_message(BytesView message,
                                                  const MessageContext& context) {
  if (message.size() > kMaxMessageBytes) {
    return fail(Code::kResourceExhausted, fmt::format("read {}: {} bytes, at most {} are allowed",
                                                      kWhat, message.size(), kMaxMessageBytes));
  }
  Reader reader(message, context);
  auto read = looks_like_corim(message) ? reader.corim(message) : reader.json(message);
  if (!read) return read;
  std::vector<ReferenceValue> values = *std::move(read);
  if (values.empty()) return refuse("there is none");
  return values;
}

}  // namespace coffer::rv
