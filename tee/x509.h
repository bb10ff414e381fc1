// X.509 certificates and revocation lists (RFC 5280), read from untrusted bytes by our own strict
// DER reader. What is signed is verified over the bytes as received; each question (who issued it,
// is it in time, is it a CA, is it revoked) is separate, so that a verdict can name each.
#pragma once

#include <compare>
#include <cstdint>
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

  [[nodiscard]] const Bytes& der() const { return der_; }
  // SHA-256 of the DER.
  [[nodiscard]] Digest256 fingerprint() const { return sha256(der_); }
  // SHA-256 of the DER SubjectPublicKeyInfo.
  [[nodiscard]] Digest256 spki_digest() const { return sha256(spki_); }

  [[nodiscard]] const Name& subject() const { return subject_; }
  [[nodiscard]] const Name& issuer() const { return issuer_; }
  [[nodiscard]] const Serial& serial() const { return serial_; }
  [[nodiscard]] UnixTime not_before() const { return not_before_; }
  [[nodiscard]] UnixTime not_after() const { return not_after_; }
  [[nodiscard]] bool valid_at(UnixTime time) const {
    return not_before_ <= time && time <= not_after_;
  }

  [[nodiscard]] const std::vector<Extension>& extensions() const { return extensions_; }
  // nullptr when absent.
  [[nodiscard]] const Extension* extension(std::string_view oid) const;
  // Object identifiers of critical extensions other than basicConstraints, keyUsage and
  // extKeyUsage, which this class understands.
  [[nodiscard]] std::vector<std::string> unknown_critical_extensions() const;
  // basicConstraints (section 4.2.1.9); absent means no CA.
  [[nodiscard]] bool is_ca() const { return is_ca_; }
  [[nodiscard]] std::optional<std::uint64_t> path_length() const { return path_length_; }
  // keyUsage keyCertSign (section 4.2.1.3); nothing when the extension is absent.
  [[nodiscard]] std::optional<bool> may_sign_certificates() const { return key_cert_sign_; }
  [[nodiscard]] std::optional<bool> may_sign_crls() const { return crl_sign_; }

  [[nodiscard]] SignatureScheme scheme() const { return scheme_; }
  [[nodiscard]] const PublicKey& public_key() const { return *key_; }
  // The signature verifies with the issuer's key. Nothing else is looked at.
  [[nodiscard]] bool signature_by(const PublicKey& issuer) const;
  // Our issuer name is its subject name, octet for octet.
  [[nodiscard]] bool names_issuer(const Certificate& issuer) const {
    return issuer_.der == issuer.subject_.der;
  }
  [[nodiscard]] bool is_self_issued() const { return issuer_.der == subject_.der; }

 private:
  Certificate() = default;
  [[nodiscard]] Status parse();
  [[nodiscard]] Status parse_tbs(BytesView tbs, BytesView& algorithm);
  [[nodiscard]] Status parse_extensions(BytesView bytes);
  [[nodiscard]] Status read_known_extensions();

  Bytes der_, tbs_, spki_, signature_;
  Name subject_, issuer_;
  Serial serial_;
  UnixTime not_before_ = 0, not_after_ = 0;
  std::vector<Extension> extensions_;
  bool is_ca_ = false;
  std::optional<std::uint64_t> path_length_;
  std::optional<bool> key_cert_sign_, crl_sign_;
  SignatureScheme scheme_ = SignatureScheme::kUnknown;
  std::optional<PublicKey> key_;  // always there once parsed
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
