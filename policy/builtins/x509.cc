// crypto.x509.* and private keys: what Go's structures say of a certificate that a policy may ask
// for: names, serial number, validity, key usage, alternative names, and the DER itself. Numbers of
// Go's own (its enumerations of algorithms) and raw extensions are left out.
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/openssl.h"
#include "policy/builtins/families.h"
#include "policy/builtins/keys.h"
#include "policy/value/number.h"

namespace coffer::policy {
namespace {

using Args = std::span<const Value>;

void free_names(GENERAL_NAMES* names) { GENERAL_NAMES_free(names); }
void free_chain(STACK_OF(X509) * chain) { sk_X509_pop_free(chain, X509_free); }
using openssl::Bio;
using Bn = openssl::BigNum;
using openssl::Certificate;
using Request = openssl::Ptr<X509_REQ, X509_REQ_free>;
using Store = openssl::Ptr<X509_STORE, X509_STORE_free>;
using StoreContext = openssl::Ptr<X509_STORE_CTX, X509_STORE_CTX_free>;
using Names = openssl::Ptr<GENERAL_NAMES, free_names>;

// Certificates a policy may hand over at once.
constexpr std::size_t kMostCertificates = 256;

const unsigned char* bytes(std::string_view text) { return as_bytes(text).data(); }

std::string asn1_text(const ASN1_STRING* string) {
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, string);
  if (size < 0) return {};
  std::string out(as_text({utf8, static_cast<std::size_t>(size)}));
  OPENSSL_free(utf8);
  return out;
}

// null when there are none, as Go writes an empty slice.
Value strings(const std::vector<std::string>& list) {
  if (list.empty()) return Value::null();
  std::vector<Value> items;
  items.reserve(list.size());
  for (const std::string& text : list) items.push_back(Value::string(text));
  return Value::array(std::move(items));
}

Value name_value(const X509_NAME* name) {
  static constexpr std::pair<int, std::string_view> kLists[] = {
      {NID_countryName, "Country"},
      {NID_organizationName, "Organization"},
      {NID_organizationalUnitName, "OrganizationalUnit"},
      {NID_localityName, "Locality"},
      {NID_stateOrProvinceName, "Province"},
      {NID_streetAddress, "StreetAddress"},
      {NID_postalCode, "PostalCode"}};
  const auto values = [name](int nid) {
    std::vector<std::string> out;
    for (int at = X509_NAME_get_index_by_NID(name, nid, -1); at >= 0;
         at = X509_NAME_get_index_by_NID(name, nid, at))
      out.push_back(asn1_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at))));
    return out;
  };
  ObjectBuilder out;
  for (const auto& [nid, key] : kLists) out.add(key, strings(values(nid)));
  const auto last = [](const std::vector<std::string>& list) {
    return Value::string(list.empty() ? "" : list.back());
  };
  out.add("CommonName", last(values(NID_commonName)));
  out.add("SerialNumber", last(values(NID_serialNumber)));
  return out.build();
}

Value time_value(const ASN1_TIME* time) {
  std::tm fields{};
  if (ASN1_TIME_to_tm(time, &fields) != 1) return Value::null();
  char text[32];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &fields);
  return Value::string({text, size});
}

void add_alternative_names(ObjectBuilder& out, const GENERAL_NAMES* names) {
  std::vector<std::string> dns;
  std::vector<std::string> mail;
  std::vector<std::string> uris;
  std::vector<std::string> addresses;
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS) dns.push_back(asn1_text(name->d.dNSName));
    if (name->type == GEN_EMAIL) mail.push_back(asn1_text(name->d.rfc822Name));
    if (name->type == GEN_URI) uris.push_back(asn1_text(name->d.uniformResourceIdentifier));
    if (name->type == GEN_IPADD) {
      const ASN1_OCTET_STRING* address = name->d.iPAddress;
      char* text = nullptr;
      const Bio bio(BIO_new(BIO_s_mem()));
      (void)GENERAL_NAME_print(bio.get(), sk_GENERAL_NAME_value(names, i));
      const long size = BIO_get_mem_data(bio.get(), &text);
      const std::string_view shown(text, static_cast<std::size_t>(size));
      if (ASN1_STRING_length(address) == 4 || ASN1_STRING_length(address) == 16)
        addresses.emplace_back(shown.substr(std::min(shown.find(':') + 1, shown.size())));
    }
  }
  out.add("DNSNames", strings(dns));
  out.add("EmailAddresses", strings(mail));
  out.add("IPAddresses", strings(addresses));
  out.add("URIStrings", strings(uris));
}

template <typename T>
Value der_value(const T* object, int (*encode)(const T*, unsigned char**)) {
  unsigned char* der = nullptr;
  const int size = encode(object, &der);
  if (size <= 0) return Value::null();
  Value out = Value::string(to_base64({der, static_cast<std::size_t>(size)}));
  OPENSSL_free(der);
  return out;
}

Value certificate_value(X509* certificate) {
  ObjectBuilder out;
  out.add("Raw", der_value<X509>(certificate, i2d_X509));
  out.add("Version", Value::integer(X509_get_version(certificate) + 1));
  const Bn serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  char* decimal = serial == nullptr ? nullptr : BN_bn2dec(serial.get());
  out.add("SerialNumber", decimal == nullptr ? Value::null() : Value::number_from_literal(decimal));
  OPENSSL_free(decimal);
  out.add("Issuer", name_value(X509_get_issuer_name(certificate)));
  out.add("Subject", name_value(X509_get_subject_name(certificate)));
  out.add("NotBefore", time_value(X509_get0_notBefore(certificate)));
  out.add("NotAfter", time_value(X509_get0_notAfter(certificate)));
  const std::uint32_t flags = X509_get_extension_flags(certificate);
  out.add("IsCA", Value::boolean((flags & EXFLAG_CA) != 0));
  out.add("BasicConstraintsValid", Value::boolean((flags & EXFLAG_BCONS) != 0));
  const Names names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  add_alternative_names(out, names.get());
  ERR_clear_error();
  return out.build();
}

// PEM as it is; else base64 of DER or of PEM.
Result<std::string> unwrapped(std::string_view text) {
  if (text.find("-----BEGIN") != std::string_view::npos) return std::string(text);
  std::string compact;
  for (const char c : text)
    if (c != '\n' && c != '\r') compact += c;
  const auto decoded = from_base64(compact);
  if (!decoded) return builtin_error("illegal base64 data");
  return std::string(as_text(*decoded));
}

bool is_pem(std::string_view text) { return text.find("-----BEGIN") != std::string_view::npos; }

Result<std::vector<Certificate>> certificates(std::string_view given) {
  COFFER_TRY(const std::string text, unwrapped(given));
  std::vector<Certificate> out;
  if (is_pem(text)) {
    const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
      out.emplace_back(one);
      if (out.size() > kMostCertificates) return builtin_error("too many certificates");
    }
  } else {
    const unsigned char* at = bytes(text);
    const unsigned char* const end = at + text.size();
    while (at < end) {
      X509* one = d2i_X509(nullptr, &at, static_cast<long>(end - at));
      if (one == nullptr) {
        out.clear();
        break;
      }
      out.emplace_back(one);
      if (out.size() > kMostCertificates) return builtin_error("too many certificates");
    }
  }
  ERR_clear_error();
  if (out.empty()) return builtin_error("x509: malformed certificate");
  return out;
}

Result<Value> parse_certificates(BuiltinContext&, Args args) {
  COFFER_TRY(const std::string_view text, string_operand(args, 1));
  COFFER_TRY(const auto list, certificates(text));
  std::vector<Value> out;
  out.reserve(list.size());
  for (const Certificate& one : list) out.push_back(certificate_value(one.get()));
  return Value::array(std::move(out));
}

// The first is the root that is trusted, the last the leaf.
Result<Value> parse_and_verify(BuiltinContext& context, Args args) {
  COFFER_TRY(const std::string_view text, string_operand(args, 1));
  const auto parsed = certificates(text);
  Value refused = Value::array({Value::boolean(false), Value::empty_array()});
  if (!parsed || parsed->size() < 2) return refused;
  const std::vector<Certificate>& list = *parsed;
  const Store store(X509_STORE_new());
  X509_STORE_add_cert(store.get(), list.front().get());
  const openssl::Ptr<STACK_OF(X509), free_chain> between(sk_X509_new_null());
  for (std::size_t i = 1; i + 1 < list.size(); ++i) {
    X509_up_ref(list[i].get());
    sk_X509_push(between.get(), list[i].get());
  }
  const StoreContext check(X509_STORE_CTX_new());
  X509_STORE_CTX_init(check.get(), store.get(), list.back().get(), between.get());
  X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(check.get()),
                             static_cast<std::time_t>(context.now_ns() / 1'000'000'000));
  X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(check.get()), X509_V_FLAG_PARTIAL_CHAIN);
  // As Go does when it is asked for no other use.
  X509_STORE_CTX_set_purpose(check.get(), X509_PURPOSE_SSL_SERVER);
  const bool good = X509_verify_cert(check.get()) == 1;
  ERR_clear_error();
  if (!good) return refused;
  std::vector<Value> chain;
  STACK_OF(X509)* found = X509_STORE_CTX_get0_chain(check.get());
  chain.reserve(static_cast<std::size_t>(sk_X509_num(found)));
  for (int i = 0; i < sk_X509_num(found); ++i)
    chain.push_back(certificate_value(sk_X509_value(found, i)));
  return Value::array({Value::boolean(true), Value::array(std::move(chain))});
}

Result<Value> parse_request(BuiltinContext&, Args args) {
  COFFER_TRY(const std::string_view given, string_operand(args, 1));
  COFFER_TRY(const std::string text, unwrapped(given));
  Request request;
  if (is_pem(text)) {
    const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    request.reset(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  } else {
    const unsigned char* at = bytes(text);
    request.reset(d2i_X509_REQ(nullptr, &at, static_cast<long>(text.size())));
  }
  ERR_clear_error();
  if (request == nullptr) return builtin_error("asn1: structure error: no certificate request");
  ObjectBuilder out;
  out.add("Raw", der_value<X509_REQ>(request.get(), i2d_X509_REQ));
  out.add("Version", Value::integer(X509_REQ_get_version(request.get())));
  out.add("Subject", name_value(X509_REQ_get_subject_name(request.get())));
  return out.build();
}

std::vector<KeyPtr> private_keys(const std::string& text) {
  std::vector<KeyPtr> out;
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  // No passphrase is ever asked for.
  const auto none = [](char*, int, int, void*) { return -1; };
  while (EVP_PKEY* key = PEM_read_bio_PrivateKey(bio.get(), nullptr, none, nullptr)) {
    out.emplace_back(key);
    if (out.size() > kMostCertificates) break;
  }
  ERR_clear_error();
  return out;
}

Value rsa_jwk(EVP_PKEY* key) {
  static constexpr std::pair<const char*, std::string_view> kParts[] = {
      {OSSL_PKEY_PARAM_RSA_N, "n"},          {OSSL_PKEY_PARAM_RSA_E, "e"},
      {OSSL_PKEY_PARAM_RSA_D, "d"},          {OSSL_PKEY_PARAM_RSA_FACTOR1, "p"},
      {OSSL_PKEY_PARAM_RSA_FACTOR2, "q"},    {OSSL_PKEY_PARAM_RSA_EXPONENT1, "dp"},
      {OSSL_PKEY_PARAM_RSA_EXPONENT2, "dq"}, {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, "qi"}};
  ObjectBuilder out;
  out.add("kty", Value::string("RSA"));
  for (const auto& [parameter, name] : kParts) {
    BIGNUM* raw = nullptr;
    if (EVP_PKEY_get_bn_param(key, parameter, &raw) != 1) continue;
    const Bn number(raw);
    Bytes buffer(static_cast<std::size_t>(BN_num_bytes(raw)));
    BN_bn2bin(raw, buffer.data());
    out.add(name, Value::string(to_base64url(buffer)));
  }
  return out.build();
}

Result<Value> parse_rsa_private_key(BuiltinContext&, Args args) {
  COFFER_TRY(const std::string_view given, string_operand(args, 1));
  COFFER_TRY(const std::string text, unwrapped(given));
  const auto keys = private_keys(text);
  if (keys.empty() || EVP_PKEY_get_base_id(keys.front().get()) != EVP_PKEY_RSA)
    return builtin_error("failed to parse a PEM private key");
  return rsa_jwk(keys.front().get());
}

// Keys other than RSA's are told by kind only.
Result<Value> parse_private_keys(BuiltinContext&, Args args) {
  COFFER_TRY(const std::string_view given, string_operand(args, 1));
  if (given.empty()) return Value::null();
  COFFER_TRY(const std::string text, unwrapped(given));
  const auto keys = private_keys(text);
  if (keys.empty()) return Value::null();
  std::vector<Value> out;
  for (const KeyPtr& key : keys) {
    if (EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_RSA) {
      out.push_back(rsa_jwk(key.get()));
    } else {
      ObjectBuilder other;
      other.add("kty",
                Value::string(EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_EC ? "EC" : "OKP"));
      out.push_back(other.build());
    }
  }
  return Value::array(std::move(out));
}

Result<Value> parse_keypair(BuiltinContext&, Args args) {
  COFFER_TRY(const std::string_view certificate, string_operand(args, 1));
  COFFER_TRY(const std::string_view key, string_operand(args, 2));
  COFFER_TRY(const auto list, certificates(certificate));
  COFFER_TRY(const std::string key_text, unwrapped(key));
  const auto keys = private_keys(key_text);
  if (keys.empty() || X509_check_private_key(list.front().get(), keys.front().get()) != 1) {
    ERR_clear_error();
    return builtin_error("tls: private key does not match public key");
  }
  std::vector<Value> chain;
  chain.reserve(list.size());
  for (const Certificate& one : list) chain.push_back(der_value<X509>(one.get(), i2d_X509));
  ObjectBuilder out;
  out.add("Certificate", Value::array(std::move(chain)));
  if (EVP_PKEY_get_base_id(keys.front().get()) == EVP_PKEY_RSA)
    out.add("PrivateKey", rsa_jwk(keys.front().get()));
  return out.build();
}

constexpr Builtin kTable[] = {
    {"crypto.x509.parse_certificates", 1, parse_certificates},
    {"crypto.x509.parse_and_verify_certificates", 1, parse_and_verify, kNondeterministic},
    {"crypto.x509.parse_certificate_request", 1, parse_request},
    {"crypto.x509.parse_rsa_private_key", 1, parse_rsa_private_key},
    {"crypto.x509.parse_keypair", 2, parse_keypair},
    {"crypto.parse_private_keys", 1, parse_private_keys},
};

}  // namespace

std::span<const Builtin> x509_builtins() { return kTable; }

}  // namespace coffer::policy
