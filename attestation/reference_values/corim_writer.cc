#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "attestation/reference_values/corim.h"
#include "attestation/reference_values/corim_keys.h"

namespace coffer::rv {
namespace {

using cbor::Writer;
using Json = nlohmann::json;

constexpr std::string_view kContentType = "application/rim+cbor";
constexpr std::string_view kModel = "reference values";

std::optional<Bytes> lower_hex(const std::string& text) {
  const bool hex = std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (text.empty() || !hex) return std::nullopt;
  auto bytes = from_hex(text);
  if (!bytes) return std::nullopt;
  return *std::move(bytes);
}

std::optional<int> digest_algorithm(std::size_t size) {
  if (size == 32) return corim::kSha256;
  if (size == 48) return corim::kSha384;
  if (size == 64) return corim::kSha512;
  return std::nullopt;
}

// The only pair of a measurement-values-map.
Status write_value(const std::string& name, const Json& value, Writer& out) {
  if (value.is_number_unsigned() || (value.is_number_integer() && value >= 0)) {
    out.number(corim::kSvnValue).tag(corim::kSvn).number(value.get<std::int64_t>());
    return {};
  }
  if (!value.is_string()) {
    return fail(Code::kInvalidArgument,
                fmt::format("write CoRIM: '{}': {} has no form in a CoRIM (register it as JSON)",
                            name, value.dump()));
  }
  const auto& text = value.get_ref<const std::string&>();
  const auto bytes = lower_hex(text);
  if (!bytes) {
    out.number(corim::kName).text(text);
  } else if (const auto algorithm = digest_algorithm(bytes->size())) {
    out.number(corim::kDigests).array(1).array(2).number(*algorithm).bytes(*bytes);
  } else {
    out.number(corim::kRaw).tag(corim::kRawValue).bytes(*bytes);
  }
  return {};
}

Result<Bytes> concise_mid(const Json& values, const std::string& id) {
  std::size_t count = 0;
  Writer measurements;
  for (const auto& [name, value] : values.items()) {
    COFFER_TRY_VOID(check_value_name(name));
    const Json list = value.is_array() ? value : Json::array({value});
    for (const Json& item : list) {
      ++count;
      measurements.map(2).number(corim::kMkey).text(name).number(corim::kMval).map(1);
      COFFER_TRY_VOID(write_value(name, item, measurements));
    }
  }
  if (count == 0) return fail(Code::kInvalidArgument, "write CoRIM: there is no value");
  Writer out;
  out.map(2).number(corim::kTagIdentity).map(1).number(corim::kTagId).text(id);
  out.number(corim::kTriples).map(1).number(corim::kReferenceTriples).array(1).array(2);
  out.map(1).number(corim::kClass).map(2);
  out.number(corim::kVendor).text(kCorimVendor).number(corim::kModel).text(kModel);
  out.array(count);
  Bytes bytes = out.out();
  bytes.insert(bytes.end(), measurements.out().begin(), measurements.out().end());
  return bytes;
}

void write_validity(const CorimContent& content, Writer& out) {
  out.map(2).number(corim::kNotBefore).tag(corim::kTime).number(content.not_before);
  out.number(corim::kNotAfter).tag(corim::kTime).number(content.not_after);
}

}  // namespace

Result<Bytes> write_corim(const Json& values, const CorimContent& content,
                          const jose::PrivateKey* key) {
  if (!values.is_object()) {
    return fail(Code::kInvalidArgument, "write CoRIM: want an object of name to value");
  }
  COFFER_TRY(const Bytes mid, concise_mid(values, content.id));
  Writer manifest;
  manifest.tag(corim::kUnsigned).map(3).number(corim::kId).text(content.id);
  manifest.number(corim::kTags).array(1).tag(corim::kConciseMid).bytes(mid);
  manifest.number(corim::kRimValidity);
  write_validity(content, manifest);
  if (key == nullptr) return manifest.out();
  Writer meta;
  meta.map(2).number(corim::kSigner).map(1).number(corim::kSignerName).text(content.signer);
  meta.number(corim::kSignatureValidity);
  write_validity(content, meta);
  Writer header;
  header.number(static_cast<std::int64_t>(cbor::kHeaderContentType)).text(kContentType);
  header.number(corim::kCorimMeta).bytes(meta.out());
  return cbor::make_sign1(*key, header.out(), 2, manifest.out());
}

}  // namespace coffer::rv
