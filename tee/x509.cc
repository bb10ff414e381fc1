#include "tee/x509.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tee/der.h"

namespace coffer::tee {
namespace {

constexpr std::size_t kMaxCertificate = std::size_t{64} << 10U;
constexpr std::size_t kMaxCrl = std::size_t{4} << 20U;
constexpr std::size_t kMaxRevoked = 65536;
constexpr std::size_t kMaxExtensions = 64;
constexpr std::size_t kMaxNameAttributes = 32;
constexpr std::size_t kMaxSerial = 21;  // 20 octets (section 4.1.2.2) and a sign octet

constexpr std::string_view kKeyUsage = "2.5.29.15";
constexpr std::string_view kBasicConstraints = "2.5.29.19";
constexpr std::string_view kCrlNumber = "2.5.29.20";
constexpr std::string_view kExtKeyUsage = "2.5.29.37";
constexpr std::string_view kSha384 = "2.16.840.1.101.3.4.2.2";
constexpr std::string_view kMgf1 = "1.2.840.113549.1.1.8";
constexpr std::string_view kRsaPss = "1.2.840.113549.1.1.10";

constexpr std::uint8_t kUtcTime = 0x17;
constexpr std::uint8_t kGeneralizedTime = 0x18;
constexpr std::uint8_t kContext0 = 0xA0;
constexpr std::uint8_t kContext1 = 0xA1;
constexpr std::uint8_t kContext2 = 0xA2;
constexpr std::uint8_t kContext3 = 0xA3;
constexpr std::uint8_t kIssuerUid = 0x81;
constexpr std::uint8_t kSubjectUid = 0x82;

std::unexpected<Error> bad(std::string_view why) {
  return fail(Code::kInvalidArgument, std::string(why));
}

Bytes copy(BytesView view) { return {view.begin(), view.end()}; }

// Magnitude of a non-negative INTEGER of any size up to `max` octets.
Result<Bytes> magnitude(BytesView content, std::size_t max) {
  if (content.empty() || content.size() > max) return bad("integer of a wrong length");
  if ((content[0] & 0x80U) != 0) return bad("negative integer");
  if (content.size() > 1 && content[0] == 0) {
    if ((content[1] & 0x80U) == 0) return bad("integer is not minimal");
    content = content.subspan(1);
  }
  return copy(content);
}

// Section 4.1.2.5: UTCTime YYMMDDHHMMSSZ (50..99 are 19xx), GeneralizedTime YYYYMMDDHHMMSSZ.
Result<UnixTime> read_time(DerReader& reader) {
  COFFER_TRY(const DerValue value, reader.next());
  std::string text(as_text(value.content));
  if (value.tag == kUtcTime && text.size() == 13) {
    text.insert(0, text[0] >= '5' ? "19" : "20");
  } else if (value.tag != kGeneralizedTime || text.size() != 15) {
    return bad("malformed time");
  }
  if (text.back() != 'Z') return bad("time is not in UTC");
  return parse_rfc3339(fmt::format("{}-{}-{}T{}:{}:{}Z", text.substr(0, 4), text.substr(4, 2),
                                   text.substr(6, 2), text.substr(8, 2), text.substr(10, 2),
                                   text.substr(12, 2)));
}

Result<Name> read_name(DerReader& reader) {
  COFFER_TRY(const DerValue whole, reader.next());
  if (!whole.is(DerTag::kSequence)) return bad("name is no SEQUENCE");
  Name name{.der = copy(whole.whole), .attributes = {}};
  DerReader sets(whole.content, "name");
  while (!sets.at_end()) {
    COFFER_TRY(DerReader set, sets.enter(DerTag::kSet));
    while (!set.at_end()) {
      if (name.attributes.size() >= kMaxNameAttributes) return bad("name has too many attributes");
      COFFER_TRY(DerReader attribute, set.enter(DerTag::kSequence));
      COFFER_TRY(std::string oid, attribute.oid());
      COFFER_TRY(const DerValue value, attribute.next());
      COFFER_TRY_VOID(attribute.expect_end());
      name.attributes.push_back({std::move(oid), std::string(as_text(value.content))});
    }
  }
  return name;
}

Result<bool> names_sha384(DerReader& reader) {
  COFFER_TRY(DerReader algorithm, reader.enter(DerTag::kSequence));
  COFFER_TRY(const std::string oid, algorithm.oid());
  if (!algorithm.at_end()) {
    COFFER_TRY_VOID(algorithm.expect(DerTag::kNull));
    COFFER_TRY_VOID(algorithm.expect_end());
  }
  return oid == kSha384;
}

// One explicitly tagged parameter of RSASSA-PSS-params, which must be there.
Result<DerReader> pss_field(DerReader& parameters, std::uint8_t tag) {
  COFFER_TRY(const DerValue value, parameters.next());
  if (value.tag != tag) return bad("PSS parameters leave a field to its default");
  return DerReader(value.content, "PSS parameters");
}

// RFC 4055 section 3.1. All defaults are SHA-1 ones, so a field left out is a refusal.
Result<bool> is_pss_sha384(DerReader& algorithm) {
  COFFER_TRY(DerReader parameters, algorithm.enter(DerTag::kSequence));
  COFFER_TRY(DerReader hash_field, pss_field(parameters, kContext0));
  COFFER_TRY(const bool hash, names_sha384(hash_field));
  COFFER_TRY(DerReader mask_field, pss_field(parameters, kContext1));
  COFFER_TRY(DerReader mask, mask_field.enter(DerTag::kSequence));
  COFFER_TRY(const std::string mask_oid, mask.oid());
  COFFER_TRY(const bool mask_hash, names_sha384(mask));
  COFFER_TRY(DerReader salt_field, pss_field(parameters, kContext2));
  COFFER_TRY(const std::uint64_t salt, salt_field.unsigned_integer());
  std::uint64_t trailer = 1;
  if (!parameters.at_end()) {
    COFFER_TRY(DerReader trailer_field, pss_field(parameters, kContext3));
    COFFER_TRY(trailer, trailer_field.unsigned_integer());
  }
  COFFER_TRY_VOID(parameters.expect_end());
  return hash && mask_oid == kMgf1 && mask_hash && salt == 48 && trailer == 1;
}

SignatureScheme plain_scheme(std::string_view oid) {
  if (oid == "1.2.840.10045.4.3.2") return SignatureScheme::kEcdsaSha256;
  if (oid == "1.2.840.10045.4.3.3") return SignatureScheme::kEcdsaSha384;
  if (oid == "1.2.840.113549.1.1.11") return SignatureScheme::kRsaPkcs1Sha256;
  if (oid == "1.2.840.113549.1.1.12") return SignatureScheme::kRsaPkcs1Sha384;
  return SignatureScheme::kUnknown;
}

// An algorithm that we do not know is not an error of the syntax: the signature then never
// verifies.
Result<SignatureScheme> read_scheme(BytesView algorithm_der) {
  DerReader outer(algorithm_der, "algorithm identifier");
  COFFER_TRY(DerReader algorithm, outer.enter(DerTag::kSequence));
  COFFER_TRY(const std::string oid, algorithm.oid());
  if (oid != kRsaPss) return plain_scheme(oid);
  const auto pss = is_pss_sha384(algorithm);
  return pss && *pss ? SignatureScheme::kRsaPssSha384 : SignatureScheme::kUnknown;
}

Result<BytesView> read_algorithm(DerReader& reader) {
  COFFER_TRY(const DerValue value, reader.next());
  if (!value.is(DerTag::kSequence)) return bad("algorithm identifier is no SEQUENCE");
  return value.whole;
}

Result<Bytes> read_signature(DerReader& reader) {
  COFFER_TRY(const BytesView bits, reader.expect(DerTag::kBitString));
  if (bits.empty() || bits[0] != 0) return bad("signature is no whole number of octets");
  return copy(bits.subspan(1));
}

Result<Extension> read_extension(DerReader& reader) {
  COFFER_TRY(DerReader fields, reader.enter(DerTag::kSequence));
  COFFER_TRY(std::string oid, fields.oid());
  COFFER_TRY(DerValue value, fields.next());
  bool critical = false;
  if (value.is(DerTag::kBoolean)) {
    if (value.content.size() != 1 || value.content[0] != 0xFF)
      return bad("malformed critical flag");
    critical = true;
    COFFER_TRY(value, fields.next());
  }
  if (!value.is(DerTag::kOctetString)) return bad("extension value is no OCTET STRING");
  COFFER_TRY_VOID(fields.expect_end());
  return Extension{.oid = std::move(oid), .critical = critical, .value = copy(value.content)};
}

Result<std::vector<Extension>> read_extensions(BytesView bytes) {
  DerReader outer(bytes, "extensions");
  COFFER_TRY(DerReader list, outer.enter(DerTag::kSequence));
  COFFER_TRY_VOID(outer.expect_end());
  std::vector<Extension> out;
  while (!list.at_end()) {
    COFFER_TRY(Extension extension, read_extension(list));
    const bool twice = std::any_of(out.begin(), out.end(),
                                   [&](const Extension& e) { return e.oid == extension.oid; });
    if (twice) return bad(fmt::format("extension {} stands twice", extension.oid));
    if (out.size() >= kMaxExtensions) return bad("too many extensions");
    out.push_back(std::move(extension));
  }
  return out;
}

bool bit(BytesView bits, unsigned index) {
  const std::size_t byte = 1 + index / 8;
  return byte < bits.size() && ((bits[byte] >> (7 - index % 8)) & 1U) != 0;
}

std::string_view attribute_label(std::string_view oid) {
  if (oid == "2.5.4.3") return "CN";
  if (oid == "2.5.4.6") return "C";
  if (oid == "2.5.4.7") return "L";
  if (oid == "2.5.4.8") return "ST";
  if (oid == "2.5.4.10") return "O";
  if (oid == "2.5.4.11") return "OU";
  return oid;
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c >= ' ' && c < '\x7f') {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

const Extension* find_extension(const std::vector<Extension>& extensions, std::string_view oid) {
  const auto at = std::find_if(extensions.begin(), extensions.end(),
                               [&](const Extension& e) { return e.oid == oid; });
  return at == extensions.end() ? nullptr : &*at;
}

template <typename T>
Result<T> in_context(Result<T> result, std::string_view what) {
  if (!result) return fail(std::move(result.error()).with_context(std::string(what)));
  return result;
}

}  // namespace

std::string_view Name::get(std::string_view oid) const {
  const auto matches = [&](const NameAttribute& a) { return a.oid == oid; };
  const auto at = std::find_if(attributes.begin(), attributes.end(), matches);
  if (at == attributes.end() || std::count_if(at, attributes.end(), matches) != 1) return {};
  return at->value;
}

std::string Name::to_text() const {
  std::string out;
  for (const auto& attribute : attributes) {
    if (!out.empty()) out += ", ";
    out += fmt::format("{}={}", attribute_label(attribute.oid), printable(attribute.value));
  }
  return out;
}

Result<Certificate> Certificate::from_der(BytesView der) {
  if (der.size() > kMaxCertificate) return bad("parse certificate: more than 64 KiB");
  auto fields = std::make_shared<Fields>();
  fields->der = copy(der);
  fields->fingerprint = sha256(der);
  if (auto status = in_context(fields->parse(), "parse certificate"); !status) {
    return fail(std::move(status.error()));
  }
  return Certificate(std::move(fields));
}

Status Certificate::Fields::parse() {
  DerReader outer(der, "certificate");
  COFFER_TRY(DerReader fields, outer.enter(DerTag::kSequence));
  COFFER_TRY_VOID(outer.expect_end());
  COFFER_TRY(const DerValue body, fields.next());
  if (!body.is(DerTag::kSequence)) return bad("body is no SEQUENCE");
  tbs = body.whole;
  BytesView inner_algorithm;
  COFFER_TRY_VOID(parse_tbs(body.content, inner_algorithm));
  COFFER_TRY(const BytesView algorithm, read_algorithm(fields));
  if (!std::ranges::equal(algorithm, inner_algorithm)) return bad("algorithm identifiers differ");
  COFFER_TRY(scheme, read_scheme(algorithm));
  COFFER_TRY(signature, read_signature(fields));
  return fields.expect_end();
}

Status Certificate::Fields::parse_tbs(BytesView bytes, BytesView& algorithm) {
  DerReader fields(bytes, "certificate body");
  COFFER_TRY(const DerValue version, fields.next());
  if (version.tag != kContext0) return bad("no version, want 3");
  DerReader version_reader(version.content, "version");
  COFFER_TRY(const std::uint64_t number, version_reader.unsigned_integer());
  if (number != 2) return bad(fmt::format("version {}, want 3", number + 1));
  COFFER_TRY(const BytesView number_bytes, fields.expect(DerTag::kInteger));
  COFFER_TRY(serial, in_context(magnitude(number_bytes, kMaxSerial), "serial number"));
  COFFER_TRY(algorithm, read_algorithm(fields));
  COFFER_TRY(issuer, read_name(fields));
  COFFER_TRY(DerReader validity, fields.enter(DerTag::kSequence));
  COFFER_TRY(not_before, read_time(validity));
  COFFER_TRY(not_after, read_time(validity));
  COFFER_TRY_VOID(validity.expect_end());
  COFFER_TRY(subject, read_name(fields));
  COFFER_TRY(const DerValue key_info, fields.next());
  spki = copy(key_info.whole);
  COFFER_TRY(key, PublicKey::from_spki(spki));
  while (!fields.at_end()) {
    COFFER_TRY(const DerValue value, fields.next());
    if (value.tag == kContext3 && fields.at_end()) {
      COFFER_TRY(extensions, read_extensions(value.content));
      return read_known_extensions();
    }
    if (value.tag != kIssuerUid && value.tag != kSubjectUid) return bad("unknown field in body");
  }
  return {};
}

Status Certificate::Fields::read_known_extensions() {
  if (const Extension* constraints = find_extension(extensions, kBasicConstraints)) {
    DerReader outer(constraints->value, "basicConstraints");
    COFFER_TRY(DerReader fields, outer.enter(DerTag::kSequence));
    COFFER_TRY_VOID(outer.expect_end());
    if (!fields.at_end()) {
      COFFER_TRY(is_ca, fields.boolean());
    }
    if (!fields.at_end()) {
      COFFER_TRY(path_length, fields.unsigned_integer());
    }
    COFFER_TRY_VOID(fields.expect_end());
  }
  if (const Extension* usage = find_extension(extensions, kKeyUsage)) {
    DerReader outer(usage->value, "keyUsage");
    COFFER_TRY(const BytesView bits, outer.expect(DerTag::kBitString));
    COFFER_TRY_VOID(outer.expect_end());
    key_cert_sign = bit(bits, 5);
    crl_sign = bit(bits, 6);
  }
  return {};
}

const Extension* Certificate::extension(std::string_view oid) const {
  return find_extension(fields_->extensions, oid);
}

std::vector<std::string> Certificate::unknown_critical_extensions() const {
  std::vector<std::string> out;
  for (const auto& extension : fields_->extensions) {
    const bool known = extension.oid == kBasicConstraints || extension.oid == kKeyUsage ||
                       extension.oid == kExtKeyUsage;
    if (extension.critical && !known) out.push_back(extension.oid);
  }
  return out;
}

bool Certificate::signature_by(const PublicKey& issuer) const {
  return issuer.verify(fields_->scheme, fields_->tbs, fields_->signature);
}

Result<Crl> Crl::from_der(BytesView der) {
  if (der.size() > kMaxCrl) return bad("parse CRL: more than 4 MiB");
  Crl crl;
  crl.der_ = copy(der);
  if (auto status = in_context(crl.parse(), "parse CRL"); !status) {
    return fail(std::move(status.error()));
  }
  return crl;
}

Status Crl::parse() {
  DerReader outer(der_, "CRL");
  COFFER_TRY(DerReader fields, outer.enter(DerTag::kSequence));
  COFFER_TRY_VOID(outer.expect_end());
  COFFER_TRY(const DerValue tbs, fields.next());
  if (!tbs.is(DerTag::kSequence)) return bad("body is no SEQUENCE");
  tbs_ = copy(tbs.whole);
  BytesView inner_algorithm;
  COFFER_TRY_VOID(parse_tbs(tbs.content, inner_algorithm));
  COFFER_TRY(const BytesView algorithm, read_algorithm(fields));
  if (!std::ranges::equal(algorithm, inner_algorithm)) return bad("algorithm identifiers differ");
  COFFER_TRY(scheme_, read_scheme(algorithm));
  COFFER_TRY(signature_, read_signature(fields));
  return fields.expect_end();
}

Status Crl::parse_tbs(BytesView tbs, BytesView& algorithm) {
  DerReader fields(tbs, "CRL body");
  COFFER_TRY(const std::uint64_t version, fields.unsigned_integer());
  if (version != 1) return bad("version is not 2");
  COFFER_TRY(algorithm, read_algorithm(fields));
  COFFER_TRY(issuer_, read_name(fields));
  COFFER_TRY(this_update_, read_time(fields));
  // nextUpdate, revokedCertificates and extensions are optional and told apart by their tags.
  std::uint8_t last = 0;
  while (!fields.at_end()) {
    DerReader ahead = fields;
    COFFER_TRY(const DerValue value, ahead.next());
    if (value.tag == kUtcTime || value.tag == kGeneralizedTime) {
      if (last != 0) return bad("fields out of order");
      COFFER_TRY(next_update_, read_time(fields));
    } else if (value.is(DerTag::kSequence)) {
      if (last != 0 && last != kUtcTime) return bad("fields out of order");
      COFFER_TRY_VOID(parse_revoked(value.content));
    } else if (value.tag == kContext0 && ahead.at_end()) {
      COFFER_TRY_VOID(parse_extensions(value.content));
    } else {
      return bad("unknown field in body");
    }
    last = value.tag == kGeneralizedTime ? kUtcTime : value.tag;
    fields = ahead;
  }
  return {};
}

Status Crl::parse_revoked(BytesView bytes) {
  DerReader entries(bytes, "revoked certificates");
  while (!entries.at_end()) {
    if (revoked_.size() >= kMaxRevoked) return bad("more than 65536 entries");
    COFFER_TRY(DerReader entry, entries.enter(DerTag::kSequence));
    COFFER_TRY(const BytesView serial, entry.expect(DerTag::kInteger));
    COFFER_TRY(Serial number, in_context(magnitude(serial, kMaxSerial), "serial number"));
    COFFER_TRY_VOID(read_time(entry));
    if (!entry.at_end()) {
      COFFER_TRY_VOID(entry.expect(DerTag::kSequence));
    }
    COFFER_TRY_VOID(entry.expect_end());
    revoked_.push_back(std::move(number));
  }
  std::sort(revoked_.begin(), revoked_.end());
  return {};
}

Status Crl::parse_extensions(BytesView bytes) {
  COFFER_TRY(const std::vector<Extension> extensions, read_extensions(bytes));
  for (const auto& extension : extensions) {
    if (extension.oid == kCrlNumber) {
      DerReader reader(extension.value, "cRLNumber");
      COFFER_TRY(const BytesView content, reader.expect(DerTag::kInteger));
      COFFER_TRY(number_, in_context(magnitude(content, kMaxSerial), "cRLNumber"));
    } else if (extension.critical) {
      unknown_critical_ = true;
    }
  }
  return {};
}

bool Crl::revokes(const Serial& serial) const {
  return std::binary_search(revoked_.begin(), revoked_.end(), serial);
}

bool Crl::signature_by(const PublicKey& issuer) const {
  return issuer.verify(scheme_, tbs_, signature_);
}

}  // namespace coffer::tee
