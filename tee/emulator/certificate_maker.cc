#include "tee/emulator/certificate_maker.h"

#include <fmt/format.h>
#include <openssl/asn1.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "base/openssl.h"

namespace coffer::emulator {
namespace {

using openssl::Certificate;
using Crl = openssl::Ptr<X509_CRL, X509_CRL_free>;
using Revoked = openssl::Ptr<X509_REVOKED, X509_REVOKED_free>;
using Name = openssl::Ptr<X509_NAME, X509_NAME_free>;
using Time = openssl::Ptr<ASN1_TIME, ASN1_TIME_free>;
using Integer = openssl::Ptr<ASN1_INTEGER, ASN1_INTEGER_free>;
using Octets = openssl::Ptr<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free>;
using Object = openssl::Ptr<ASN1_OBJECT, ASN1_OBJECT_free>;
using ExtensionPtr = openssl::Extension;
using Constraints = openssl::Ptr<BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_free>;
using Bits = openssl::Ptr<ASN1_BIT_STRING, ASN1_BIT_STRING_free>;

constexpr long kVersion3 = 2;
constexpr std::size_t kPemLine = 64;

std::unexpected<Error> bad(std::string_view what) {
  return fail(Code::kInternal, fmt::format("make {}: OpenSSL refused", what));
}

Name make_name(const CertificateSpec& spec) {
  Name name(X509_NAME_new());
  const auto add = [&](const char* field, const std::string& value) {
    // SAFETY: unsigned char and char have the same representation.
    return X509_NAME_add_entry_by_txt(name.get(), field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(value.c_str()), -1, -1,
                                      0) == 1;
  };
  const bool ok = name && add("CN", spec.common_name) && add("O", spec.organization) &&
                  add("L", "Santa Clara") && add("ST", "CA") && add("C", "US");
  if (!ok) name.reset();
  return name;
}

Time make_time(tee::UnixTime time) {
  // X.509 wants UTCTime before 2050 and GeneralizedTime from then on; this chooses.
  return Time(ASN1_TIME_set(nullptr, time));
}

Integer make_integer(std::uint64_t value) {
  Integer integer(ASN1_INTEGER_new());
  if (integer && ASN1_INTEGER_set_uint64(integer.get(), value) != 1) integer.reset();
  return integer;
}

bool add_constraints(X509* certificate, const CertificateSpec& spec) {
  const Constraints constraints(BASIC_CONSTRAINTS_new());
  if (!constraints) return false;
  constraints->ca = spec.ca ? 0xff : 0;
  if (spec.path_length) {
    constraints->pathlen = ASN1_INTEGER_new();
    if (ASN1_INTEGER_set(constraints->pathlen, *spec.path_length) != 1) return false;
  }
  return X509_add1_ext_i2d(certificate, NID_basic_constraints, constraints.get(), 1,
                           X509V3_ADD_DEFAULT) == 1;
}

bool add_key_usage(X509* certificate, bool ca) {
  const Bits bits(ASN1_BIT_STRING_new());
  if (!bits) return false;
  // keyCertSign and cRLSign, or digitalSignature and nonRepudiation.
  for (const int bit : ca ? std::array{5, 6} : std::array{0, 1}) {
    if (ASN1_BIT_STRING_set_bit(bits.get(), bit, 1) != 1) return false;
  }
  return X509_add1_ext_i2d(certificate, NID_key_usage, bits.get(), 1, X509V3_ADD_DEFAULT) == 1;
}

bool add_extension(X509* certificate, const std::pair<std::string, Bytes>& extension) {
  const Object oid(OBJ_txt2obj(extension.first.c_str(), 1));
  const Octets value(ASN1_OCTET_STRING_new());
  if (!oid || !value ||
      ASN1_OCTET_STRING_set(value.get(), extension.second.data(),
                            static_cast<int>(extension.second.size())) != 1) {
    return false;
  }
  const ExtensionPtr made(X509_EXTENSION_create_by_OBJ(nullptr, oid.get(), 0, value.get()));
  return made && X509_add_ext(certificate, made.get(), -1) == 1;
}

bool fill(X509* certificate, const CertificateSpec& spec, const EcKey& key,
          const CertificateSpec& issuer) {
  const Name subject = make_name(spec);
  const Name issuer_name = make_name(issuer);
  const Time from = make_time(spec.not_before);
  const Time to = make_time(spec.not_after);
  const Integer serial = make_integer(spec.serial);
  return subject && issuer_name && from && to && serial &&
         X509_set_version(certificate, kVersion3) == 1 &&
         X509_set_serialNumber(certificate, serial.get()) == 1 &&
         X509_set_subject_name(certificate, subject.get()) == 1 &&
         X509_set_issuer_name(certificate, issuer_name.get()) == 1 &&
         X509_set1_notBefore(certificate, from.get()) == 1 &&
         X509_set1_notAfter(certificate, to.get()) == 1 &&
         X509_set_pubkey(certificate, key.native()) == 1 && add_constraints(certificate, spec) &&
         add_key_usage(certificate, spec.ca) &&
         (!spec.extension || add_extension(certificate, *spec.extension));
}

bool add_revoked(X509_CRL* crl, const CrlSpec& spec) {
  for (const std::uint64_t number : spec.revoked) {
    Revoked revoked(X509_REVOKED_new());
    const Integer serial = make_integer(number);
    const Time time = make_time(spec.this_update);
    if (!revoked || !serial || !time ||
        X509_REVOKED_set_serialNumber(revoked.get(), serial.get()) != 1 ||
        X509_REVOKED_set_revocationDate(revoked.get(), time.get()) != 1 ||
        X509_CRL_add0_revoked(crl, revoked.get()) != 1) {
      return false;
    }
    static_cast<void>(revoked.release());  // the list owns it now
  }
  return true;
}

bool fill(X509_CRL* crl, const CrlSpec& spec, const CertificateSpec& issuer) {
  const Name name = make_name(issuer);
  const Time from = make_time(spec.this_update);
  const Time to = make_time(spec.next_update);
  const Integer number = make_integer(1);
  return name && from && to && number && X509_CRL_set_version(crl, 1) == 1 &&
         X509_CRL_set_issuer_name(crl, name.get()) == 1 &&
         X509_CRL_set1_lastUpdate(crl, from.get()) == 1 &&
         X509_CRL_set1_nextUpdate(crl, to.get()) == 1 && add_revoked(crl, spec) &&
         X509_CRL_sort(crl) == 1 &&
         X509_CRL_add1_ext_i2d(crl, NID_crl_number, number.get(), 0, X509V3_ADD_DEFAULT) == 1;
}

template <typename T>
Result<Bytes> encode(const T* object, int (*write)(const T*, unsigned char**)) {
  unsigned char* out = nullptr;
  const int size = write(object, &out);
  if (size <= 0) return bad("DER");
  Bytes der(out, out + size);
  OPENSSL_free(out);
  return der;
}

}  // namespace

Result<Bytes> make_certificate(const CertificateSpec& spec, const EcKey& key,
                               const CertificateSpec* issuer, const EcKey& issuer_key) {
  const Certificate certificate(X509_new());
  if (!certificate || !fill(certificate.get(), spec, key, issuer != nullptr ? *issuer : spec) ||
      X509_sign(certificate.get(), issuer_key.native(), EVP_sha256()) == 0) {
    return bad("certificate");
  }
  return encode<X509>(certificate.get(), i2d_X509);
}

Result<Bytes> make_crl(const CrlSpec& spec, const CertificateSpec& issuer,
                       const EcKey& issuer_key) {
  const Crl crl(X509_CRL_new());
  if (!crl || !fill(crl.get(), spec, issuer) ||
      X509_CRL_sign(crl.get(), issuer_key.native(), EVP_sha256()) == 0) {
    return bad("CRL");
  }
  return encode<X509_CRL>(crl.get(), i2d_X509_CRL);
}

std::string certificate_pem(BytesView der) {
  const std::string base64 = to_base64(der);
  std::string pem = "-----BEGIN CERTIFICATE-----\n";
  for (std::size_t i = 0; i < base64.size(); i += kPemLine) {
    pem += base64.substr(i, kPemLine) + "\n";
  }
  return pem + "-----END CERTIFICATE-----\n";
}

}  // namespace coffer::emulator
