#include "attestation/reference_values/corim.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "attestation/reference_values/corim_keys.h"

namespace coffer::rv {
namespace {

using cbor::Kind;
using cbor::Value;
using Json = nlohmann::json;

constexpr std::string_view kWhat = "CoRIM";
constexpr std::size_t kUuidBytes = 16;

std::unexpected<Error> refuse(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("read {}: {}", kWhat, why));
}

Result<const Value*> member(const Value& map, int key, Kind kind, std::string_view name) {
  const Value* value = map.find(static_cast<std::uint64_t>(key));
  if (value == nullptr) return refuse(fmt::format("'{}' is missing", name));
  if (!value->is(kind)) {
    return refuse(fmt::format("'{}': want {}, got {}", name, cbor::kind_name(kind),
                              cbor::kind_name(value->kind)));
  }
  return value;
}

// Null when it is absent.
Result<const Value*> optional_member(const Value& map, int key, Kind kind, std::string_view name) {
  if (map.find(static_cast<std::uint64_t>(key)) == nullptr) return nullptr;
  return member(map, key, kind, name);
}

std::string uuid_text(BytesView bytes) {
  const std::string hex = to_hex(bytes);
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                     hex.substr(16, 4), hex.substr(20));
}

Result<std::string> id_text(const Value& value) {
  if (value.is(Kind::kText)) return std::string(value.text());
  const Value& bytes = value.is_tag(corim::kUuid) ? value.items.front() : value;
  if (bytes.is(Kind::kBytes) && bytes.bytes.size() == kUuidBytes) return uuid_text(bytes.bytes);
  return refuse("'id' is neither a text nor a UUID");
}

Result<std::optional<tee::UnixTime>> time_of(const Value& map, int key, std::string_view name) {
  const Value* value = map.find(static_cast<std::uint64_t>(key));
  if (value == nullptr) return std::optional<tee::UnixTime>();
  const Value& number = value->is_tag(corim::kTime) ? value->items.front() : *value;
  // Till the year 9999.
  constexpr std::uint64_t kMaxTime = 253402300799;
  if (!value->is(Kind::kTag) || !number.is(Kind::kUnsigned) || number.number > kMaxTime) {
    return refuse(fmt::format("'{}': want a time in whole seconds (tag 1)", name));
  }
  return std::optional(static_cast<tee::UnixTime>(number.number));
}

template <typename Out>
Status read_validity(const Value* map, Out& out) {
  if (map == nullptr) return {};
  COFFER_TRY(out.not_before, time_of(*map, corim::kNotBefore, "not-before"));
  COFFER_TRY(out.not_after, time_of(*map, corim::kNotAfter, "not-after"));
  return {};
}

// What a measurement is called, by its environment and key.
struct Naming {
  bool ours = false;
  std::string vendor, model;
};

class Reader {
 public:
  explicit Reader(Corim& out) : out_(out) {}

  Status mid(BytesView bytes) {
    COFFER_TRY(const Value mid, cbor::parse(bytes, "CoMID"));
    if (!mid.is(Kind::kMap)) return refuse("a CoMID is no map");
    COFFER_TRY(const Value* triples, member(mid, corim::kTriples, Kind::kMap, "triples"));
    COFFER_TRY(const Value* references, optional_member(*triples, corim::kReferenceTriples,
                                                        Kind::kArray, "reference-triples"));
    if (references == nullptr) return {};
    for (const Value& triple : references->items) COFFER_TRY_VOID(read_triple(triple));
    return {};
  }

  void finish() {
    for (auto& [name, value] : collected_) out_.values[name] = value.dump();
  }

 private:
  Status read_triple(const Value& triple) {
    if (!triple.is(Kind::kArray) || triple.items.size() != 2 || !triple.items[0].is(Kind::kMap) ||
        !triple.items[1].is(Kind::kArray)) {
      return refuse("a reference triple: want an environment and measurements");
    }
    Naming naming;
    COFFER_TRY(const Value* type,
               optional_member(triple.items[0], corim::kClass, Kind::kMap, "class"));
    if (type != nullptr) {
      COFFER_TRY(const Value* vendor,
                 optional_member(*type, corim::kVendor, Kind::kText, "vendor"));
      COFFER_TRY(const Value* model, optional_member(*type, corim::kModel, Kind::kText, "model"));
      if (vendor != nullptr) naming.vendor = vendor->text();
      if (model != nullptr) naming.model = model->text();
    }
    naming.ours = naming.vendor == kCorimVendor;
    for (const Value& entry : triple.items[1].items) {
      COFFER_TRY_VOID(read_measurement(naming, entry));
    }
    return {};
  }

  Status read_measurement(const Naming& naming, const Value& entry) {
    if (!entry.is(Kind::kMap)) return refuse("a measurement is no map");
    COFFER_TRY(const Value* values, member(entry, corim::kMval, Kind::kMap, "mval"));
    const Value* key = entry.find(corim::kMkey);
    if (!naming.ours) return read_foreign(naming, key, *values);
    if (key == nullptr || !key->is(Kind::kText)) {
      return refuse("a measurement of ours has no name as its 'mkey'");
    }
    return read_ours(std::string(key->text()), *values);
  }

  Status read_ours(const std::string& name, const Value& values) {
    Json& list = collected_.try_emplace(name, Json::array()).first->second;
    const std::size_t before = list.size();
    COFFER_TRY_VOID(add_digests(values, list));
    if (const Value* svn = values.find(corim::kSvnValue); svn != nullptr) {
      const Value& number = svn->is_tag(corim::kSvn) ? svn->items.front() : *svn;
      if (!number.is(Kind::kUnsigned)) return refuse(fmt::format("'{}': 'svn' is no number", name));
      list.push_back(number.number);
    }
    COFFER_TRY(const auto raw, raw_value(values));
    if (raw) list.push_back(*raw);
    COFFER_TRY(const Value* text, optional_member(values, corim::kName, Kind::kText, "name"));
    if (text != nullptr) list.push_back(text->text());
    if (list.size() == before) return refuse(fmt::format("'{}' has no value that we read", name));
    return {};
  }

  Status read_foreign(const Naming& naming, const Value* key, const Value& values) {
    COFFER_TRY(const Value* text, optional_member(values, corim::kName, Kind::kText, "name"));
    COFFER_TRY(const Value* serial,
               optional_member(values, corim::kSerialNumber, Kind::kText, "serial-number"));
    std::string prefix;
    for (const std::string& part : {naming.vendor, naming.model, key_text(key),
                                    text == nullptr ? "" : std::string(text->text()),
                                    serial == nullptr ? "" : std::string(serial->text())}) {
      if (!part.empty()) prefix += part + "/";
    }
    Json digests = Json::array();
    COFFER_TRY_VOID(add_digests(values, digests));
    if (!digests.empty()) {
      Json& list = collected_.try_emplace(prefix + "digests", Json::array()).first->second;
      for (auto& digest : digests) list.push_back(std::move(digest));
    }
    COFFER_TRY(const auto raw, raw_value(values));
    if (raw && !collected_.try_emplace(prefix + "raw_bytes", *raw).second) {
      return refuse(fmt::format("'{}raw_bytes' stands twice", prefix));
    }
    return {};
  }

  static std::string key_text(const Value* key) {
    if (key == nullptr) return {};
    if (key->is(Kind::kText)) return std::string(key->text());
    if (key->is(Kind::kUnsigned)) return fmt::format("claim{}", key->number);
    if (key->is_tag(corim::kUuid) && key->items.front().bytes.size() == kUuidBytes) {
      return uuid_text(key->items.front().bytes);
    }
    return {};
  }

  static Status add_digests(const Value& values, Json& list) {
    COFFER_TRY(const Value* digests,
               optional_member(values, corim::kDigests, Kind::kArray, "digests"));
    if (digests == nullptr) return {};
    for (const Value& digest : digests->items) {
      if (!digest.is(Kind::kArray) || digest.items.size() != 2 ||
          !digest.items[1].is(Kind::kBytes)) {
        return refuse("a digest: want an algorithm and bytes");
      }
      list.push_back(to_hex(digest.items[1].bytes));
    }
    return {};
  }

  static Result<std::optional<std::string>> raw_value(const Value& values) {
    const Value* raw = values.find(corim::kRaw);
    if (raw == nullptr) return std::optional<std::string>();
    const Value& bytes = raw->is_tag(corim::kRawValue) ? raw->items.front() : *raw;
    if (!bytes.is(Kind::kBytes)) return refuse("'raw-value' is no byte string");
    return std::optional(to_hex(bytes.bytes));
  }

  Corim& out_;
  std::map<std::string, Json> collected_;
};

Result<Corim> read_map(const Value& map) {
  if (!map.is(Kind::kMap)) return refuse("tag 501 stands before no map");
  Corim out;
  const Value* id = map.find(corim::kId);
  if (id == nullptr) return refuse("'id' is missing");
  COFFER_TRY(out.id, id_text(*id));
  COFFER_TRY(const Value* validity,
             optional_member(map, corim::kRimValidity, Kind::kMap, "rim-validity"));
  COFFER_TRY_VOID(read_validity(validity, out));
  COFFER_TRY(const Value* tags, member(map, corim::kTags, Kind::kArray, "tags"));
  Reader reader(out);
  for (const Value& tag : tags->items) {
    if (!tag.is_tag(corim::kConciseMid)) continue;
    if (!tag.items.front().is(Kind::kBytes)) return refuse("a CoMID is no byte string");
    COFFER_TRY_VOID(reader.mid(tag.items.front().bytes));
  }
  reader.finish();
  return out;
}

Result<SignedCorim> read_signed(const Value& array) {
  SignedCorim out;
  COFFER_TRY(out.message, cbor::parse_sign1(array));
  COFFER_TRY(const Value* bytes,
             optional_member(out.message.header, corim::kCorimMeta, Kind::kBytes, "corim-meta"));
  if (bytes == nullptr) return out;
  COFFER_TRY(const Value meta, cbor::parse(bytes->bytes, "corim-meta"));
  if (!meta.is(Kind::kMap)) return refuse("'corim-meta' is no map");
  COFFER_TRY(const Value* validity,
             optional_member(meta, corim::kSignatureValidity, Kind::kMap, "signature-validity"));
  COFFER_TRY_VOID(read_validity(validity, out));
  return out;
}

const Value& unwrapped(const Value& value) {
  const Value* at = &value;
  while (at->is_tag(corim::kTagged) || at->is_tag(corim::kTaggedSigned)) at = &at->items.front();
  return *at;
}

}  // namespace

// Tag 18 in one byte, or 501 and its kin in three: no JSON text begins so.
bool looks_like_corim(BytesView bytes) {
  return !bytes.empty() && (bytes[0] == 0xd2 || bytes[0] == 0xd9);
}

Result<CorimFile> parse_corim(BytesView bytes) {
  COFFER_TRY(const Value value, cbor::parse(bytes, kWhat));
  CorimFile out;
  const Value& outer = unwrapped(value);
  if (outer.is_tag(corim::kUnsigned)) {
    COFFER_TRY(out.corim, read_map(outer.items.front()));
    return out;
  }
  if (!outer.is_tag(cbor::kSign1Tag)) return refuse("want tag 501 (unsigned) or 18 (signed)");
  COFFER_TRY(out.signature, read_signed(outer.items.front()));
  COFFER_TRY(const Value payload, cbor::parse(out.signature->message.payload, "CoRIM payload"));
  const Value& inner = unwrapped(payload);
  if (!inner.is_tag(corim::kUnsigned)) return refuse("what is signed is not tagged 501");
  COFFER_TRY(out.corim, read_map(inner.items.front()));
  return out;
}

}  // namespace coffer::rv
