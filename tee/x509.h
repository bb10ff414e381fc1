// X.509 certificates and revocation lists (RFC 5280), read from untrusted bytes by our own strict
// DER reader. What is signed is verified over the bytes as received; each question (who issued it,
// is it in time, is it a CA, is it revoked) is separate, so that a verdict can name each.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/digest.h"
#include "tee/public_key.h"
#include "tee/utc_time.h"

namespace coffer::tee {

struct NameAttribute {
  std::string oid;    // "2.5.4.3"
  std::string value;  // the string's octets, whatever its string type
  [[nodiscard]] auto operator<=>(const NameAttribute&) const = default;
};

struct Name {
  Bytes der;  // the whole SEQUENCE: names are compared as octets
  std::vector<NameAttribute> attributes;

  // The value of the only attribute of that type; empty when absent or repeated.
  [[nodiscard]] std::string_view get(std::string_view oid) const;
  [[nodiscard]] std::string_view common_name() const { return get("2.5.4.3"); }
  // "CN=ARK-Milan, O=Advanced Micro Devices, ...", control characters escaped.
  [[nodiscard]] std::string to_text() const;
};

struct Extension {
  std::string oid;  // dotted
  bool critical = false;
  Bytes value;  // content of extnValue: usually DER again
};

// A serial number: big-endian magnitude without leading zero octets; zero is one octet 00.
using Serial = Bytes;

class Certificate {
 public:
  // Exactly one DER certificate, version 3, no trailing bytes, at most 64 KiB, no extension twice
  // (RFC 5280 section 4.2); the two algorithm identifiers must be equal (section 4.1.1.2).
  [[nodiscard]] static Result<Certificate> from_der(BytesView der);

  [[nodiscard]] const Bytes& der() const { return fields_->der; }
  // SHA-256 of the DER.
  [[nodiscard]] const Digest256& fingerprint() const { return fields_->fingerprint; }
  // SHA-256 of the DER SubjectPublicKeyInfo.
  [[nodiscard]] Digest256 spki_digest() const { return sha256(fields_->spki); }

  [[nodiscard]] const Name& subject() const { return fields_->subject; }
  [[nodiscard]] const Name& issuer() const { return fields_->issuer; }
  [[nodiscard]] const Serial& serial() const { return fields_->serial; }
  [[nodiscard]] UnixTime not_before() const { return fields_->not_before; }
  [[nodiscard]] UnixTime not_after() const { return fields_->not_after; }
  [[nodiscard]] bool valid_at(UnixTime time) const {
    return fields_->not_before <= time && time <= fields_->not_after;
  }

  [[nodiscard]] const std::vector<Extension>& extensions() const { return fields_->extensions; }
  // nullptr when absent.
  [[nodiscard]] const Extension* extension(std::string_view oid) const;
  // Object identifiers of critical extensions other than basicConstraints, keyUsage and
  // extKeyUsage, which this class understands.
  [[nodiscard]] std::vector<std::string> unknown_critical_extensions() const;
  // basicConstraints (section 4.2.1.9); absent means no CA.
  [[nodiscard]] bool is_ca() const { return fields_->is_ca; }
  [[nodiscard]] std::optional<std::uint64_t> path_length() const { return fields_->path_length; }
  // keyUsage keyCertSign (section 4.2.1.3); nothing when the extension is absent.
  [[nodiscard]] std::optional<bool> may_sign_certificates() const { return fields_->key_cert_sign; }
  [[nodiscard]] std::optional<bool> may_sign_crls() const { return fields_->crl_sign; }

  [[nodiscard]] SignatureScheme scheme() const { return fields_->scheme; }
  [[nodiscard]] const PublicKey& public_key() const { return *fields_->key; }
  // The signature verifies with the issuer's key. Nothing else is looked at.
  [[nodiscard]] bool signature_by(const PublicKey& issuer) const;
  // Our issuer name is its subject name, octet for octet.
  [[nodiscard]] bool names_issuer(const Certificate& issuer) const {
    return fields_->issuer.der == issuer.fields_->subject.der;
  }
  [[nodiscard]] bool is_self_issued() const { return fields_->issuer.der == fields_->subject.der; }

 private:
  struct Fields {
    Bytes der, spki, signature;
    BytesView tbs;  // of `der`
    Digest256 fingerprint{};
    Name subject, issuer;
    Serial serial;
    UnixTime not_before = 0, not_after = 0;
    std::vector<Extension> extensions;
    bool is_ca = false;
    std::optional<std::uint64_t> path_length;
    std::optional<bool> key_cert_sign, crl_sign;
    SignatureScheme scheme = SignatureScheme::kUnknown;
    std::optional<PublicKey> key;  // always there once parsed

    [[nodiscard]] Status parse();
    [[nodiscard]] Status parse_tbs(BytesView bytes, BytesView& algorithm);
    [[nodiscard]] Status read_known_extensions();
  };
  explicit Certificate(std::shared_ptr<const Fields> fields) : fields_(std::move(fields)) {}

  // Shared: never written to once parsed, and chains are put together from the same few
  // certificates again and again.
  std::shared_ptr<const Fields> fields_;
};

class Crl {
 public:
  // Exactly one DER CertificateList (section 5.1), at most 4 MiB and 65536 entries.
  [[nodiscard]] static Result<Crl> from_der(BytesView der);

  [[nodiscard]] const Bytes& der() const { return der_; }
  [[nodiscard]] const Name& issuer() const { return issuer_; }
  [[nodiscard]] UnixTime this_update() const { return this_update_; }
  // Absent is allowed by the syntax and never fresh.
  [[nodiscard]] std::optional<UnixTime> next_update() const { return next_update_; }
  // thisUpdate <= time < nextUpdate.
  [[nodiscard]] bool fresh_at(UnixTime time) const {
    return this_update_ <= time && next_update_ && time < *next_update_;
  }
  // cRLNumber (section 5.2.3), big-endian magnitude; empty when absent.
  [[nodiscard]] const Bytes& number() const { return number_; }
  // A critical extension that we do not understand, such as a delta indicator: the list must not be
  // relied upon.
  [[nodiscard]] bool has_unknown_critical_extension() const { return unknown_critical_; }
  [[nodiscard]] std::size_t size() const { return revoked_.size(); }
  [[nodiscard]] bool revokes(const Serial& serial) const;

  [[nodiscard]] SignatureScheme scheme() const { return scheme_; }
  [[nodiscard]] bool signature_by(const PublicKey& issuer) const;

 private:
  Crl() = default;
  [[nodiscard]] Status parse();
  [[nodiscard]] Status parse_tbs(BytesView tbs, BytesView& algorithm);
  [[nodiscard]] Status parse_revoked(BytesView bytes);
  [[nodiscard]] Status parse_extensions(BytesView bytes);

  Bytes der_, tbs_, signature_, number_;
  Name issuer_;
  UnixTime this_update_ = 0;
  std::optional<UnixTime> next_update_;
  std::vector<Serial> revoked_;  // sorted
  bool unknown_critical_ = false;
  SignatureScheme scheme_ = SignatureScheme::kUnknown;
};

}  // namespace coffer::tee
