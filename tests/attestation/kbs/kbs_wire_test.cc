// A running coffer-kbs as Trustee's client sees it: raw HTTP in, and every octet that matters out.

#include <gmock/gmock.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <memory>

#include "attestation/jose/jwe.h"
#include "attestation/jose/jwk.h"
#include "attestation/jose/jws.h"
#include "attestation/protocol/report_data.h"
#include "tests/attestation/kbs/running_kbs.h"
#include "tests/attestation/kbs/snp_source.h"

namespace coffer {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using testing::RunningKbs;
using testing::SnpSource;
using ::testing::StartsWith;
using Json = nlohmann::json;

constexpr const char* kErrors = "https://github.com/confidential-containers/kbs/errors/";

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(BIO* bio) const { BIO_free_all(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};

struct WireReply {
  std::string status;   // "HTTP/1.1 200 OK"
  std::string headers;  // as received
  std::string body;
  // Of a name in lower case; the server may write it in another.
  [[nodiscard]] std::string header(std::string_view name) const {
    std::string_view rest = headers;
    while (!rest.empty()) {
      const auto line = rest.substr(0, rest.find("\r\n"));
      rest.remove_prefix(std::min(line.size() + 2, rest.size()));
      const auto colon = line.find(':');
      if (colon != name.size() || strncasecmp(line.data(), name.data(), colon) != 0) continue;
      return std::string(line.substr(colon + 2));
    }
    return {};
  }
};

// All of the body that the head announces.
bool is_whole(const std::string& reply) {
  const auto end = reply.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  const auto at = reply.find("Content-Length: ");
  const std::size_t size = at < end ? std::stoul(reply.substr(at + 16)) : 0;
  return reply.size() >= end + 4 + size;
}

// On a TLS connection of its own.
std::string round_trip(const RunningKbs& kbs, const std::string& request) {
  const std::unique_ptr<SSL_CTX, Free> context(SSL_CTX_new(TLS_client_method()));
  const std::string pem = kbs.certificate();
  const std::unique_ptr<BIO, Free> text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const std::unique_ptr<X509, Free> root(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), root.get());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  const std::unique_ptr<BIO, Free> connection(BIO_new_ssl_connect(context.get()));
  BIO_set_conn_hostname(connection.get(), ("127.0.0.1:" + std::to_string(kbs.port())).c_str());
  const int size = static_cast<int>(request.size());
  check(BIO_write(connection.get(), request.data(), size) == size, "send the request");
  std::string out;
  char buffer[4096];
  while (!is_whole(out)) {
    const int count = BIO_read(connection.get(), buffer, sizeof buffer);
    if (count <= 0) break;
    out.append(buffer, static_cast<std::size_t>(count));
  }
  return out;
}

// As Trustee's client writes a request.
WireReply send(const RunningKbs& kbs, const std::string& line, const std::string& headers = {},
               const std::string& body = {}) {
  std::string request = line + " HTTP/1.1\r\n";
  if (!body.empty()) request += "content-type: application/json\r\n";
  request += headers +
             "user-agent: attestation-agent-kbs-client/0.1.0\r\naccept: */*\r\n"
             "host: 127.0.0.1\r\nconnection: close\r\n";
  if (!body.empty()) request += "content-length: " + std::to_string(body.size()) + "\r\n";
  const std::string reply = round_trip(kbs, request + "\r\n" + body);
  const auto first = reply.find("\r\n");
  const auto end = reply.find("\r\n\r\n");
  check(end != std::string::npos, "no HTTP reply: " + reply);
  return {.status = reply.substr(0, first),
          .headers = end == first ? "" : reply.substr(first + 2, end - first),
          .body = reply.substr(end + 4)};
}

class Wire : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    kbs_ = RunningKbs::start(testing::trust()).release();
    const auto values =
        kbs_->admin("POST", "/kbs/v0/reference-value", testing::good_values().dump());
    const auto resource = kbs_->admin("POST", "/kbs/v0/resource/default/key/1", "the secret");
    check(values.status == 200 && resource.status == 200, "the broker takes its values");
  }
  static void TearDownTestSuite() {
    delete kbs_;
    kbs_ = nullptr;
  }

  static WireReply auth(const std::string& extra = "\"\"", const std::string& version = "0.4.0") {
    return send(*kbs_, "POST /kbs/v0/auth", "",
                R"({"version":")" + version + R"(","tee":"snp","extra-params":)" + extra + "}");
  }
  static std::string cookie_of(const WireReply& reply) {
    const std::string header = reply.header("set-cookie");
    return "cookie: " + header.substr(0, header.find(';')) + "\r\n";
  }
  // In the order of members in which Trustee's client writes it.
  std::string attestation(const std::string& nonce, const jose::PrivateKey& key,
                          const std::string& init_data = "null") {
    const Json jwk = *jose::to_tee_pubkey(key.public_key());
    const auto bound = protocol::primary_report_data(nonce, jwk, "");
    return R"({"init-data":)" + init_data + R"(,"runtime-data":{"nonce":")" + nonce +
           R"(","tee-pubkey":)" + jwk.dump() + R"(},"tee-evidence":{"primary_evidence":)" +
           source_.evidence(*bound)->dump() + R"(,"additional_evidence":""}})";
  }
  // The headers of a session that has attested.
  std::string session(const jose::PrivateKey& key) {
    const auto begun = auth();
    const auto nonce = Json::parse(begun.body)["nonce"].get<std::string>();
    const auto reply =
        send(*kbs_, "POST /kbs/v0/attest", cookie_of(begun), attestation(nonce, key));
    check(reply.status == "HTTP/1.1 200 OK", reply.body);
    token_ = Json::parse(reply.body)["token"].get<std::string>();
    return cookie_of(reply);
  }
  static void expect_error(const WireReply& reply, const std::string& status,
                           const std::string& variant, const std::string& detail) {
    EXPECT_EQ(reply.status, "HTTP/1.1 " + status) << reply.body;
    EXPECT_EQ(reply.header("content-type"), "application/json");
    EXPECT_THAT(reply.body,
                StartsWith(R"({"type":")" + std::string(kErrors) + variant + R"(","detail":")"));
    EXPECT_THAT(Json::parse(reply.body)["detail"].get<std::string>(), HasSubstr(detail));
  }

  static RunningKbs* kbs_;
  SnpSource source_;
  std::string token_;
};
RunningKbs* Wire::kbs_ = nullptr;

TEST_F(Wire, AChallengeHasTrusteesFormAndACookie) {
  for (const char* extra :
       {"\"\"", "{}", R"({"supported-hash-algorithms":["sha256","sha384","sha512","sm3"]})"}) {
    const auto reply = auth(extra);
    EXPECT_EQ(reply.status, "HTTP/1.1 200 OK");
    EXPECT_EQ(reply.header("content-type"), "application/json");
    EXPECT_THAT(reply.body, MatchesRegex(R"(\{"nonce":"[A-Za-z0-9+/]{43}=","extra-params":""\})"));
    EXPECT_THAT(reply.header("set-cookie"),
                MatchesRegex("kbs-session-id=[A-Za-z0-9._-]+; Path=/; Expires=[A-Z][a-z][a-z], "
                             "[0-9]{2} [A-Z][a-z][a-z] [0-9]{4} [0-9:]{8} GMT; HttpOnly; "
                             "SameSite=Strict; Secure"));
  }
}

TEST_F(Wire, AnAttestationInTrusteesOrderGetsATokenInTrusteesForm) {
  const auto key = *jose::PrivateKey::generate(jose::KeyType::kEcP256);
  const auto begun = auth();
  const auto nonce = Json::parse(begun.body)["nonce"].get<std::string>();
  const auto reply = send(*kbs_, "POST /kbs/v0/attest", cookie_of(begun), attestation(nonce, key));
  EXPECT_EQ(reply.status, "HTTP/1.1 200 OK") << reply.body;
  EXPECT_EQ(reply.header("content-type"), "application/json");
  EXPECT_THAT(reply.body,
              MatchesRegex(R"(\{"token":"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}"\})"));
  EXPECT_THAT(reply.header("set-cookie"), StartsWith("kbs-session-id="));
  const auto jws = jose::parse_jws(Json::parse(reply.body)["token"].get<std::string>());
  ASSERT_TRUE(jws);
  const Json header = Json::parse(jws->header);
  EXPECT_EQ(header["typ"], "JWT");
  EXPECT_EQ(header["alg"], "ES256");
  for (const char* member : {"alg", "kty", "crv", "x", "y"}) {
    EXPECT_TRUE(header["jwk"].contains(member)) << member;
  }
  const Json claims = Json::parse(jws->payload);
  const Json& cpu = claims["submods"]["cpu0"];
  for (const char* member : {"ear.status", "ear.trustworthiness-vector", "ear.appraisal-policy-id",
                             "ear.veraison.annotated-evidence"}) {
    EXPECT_TRUE(cpu.contains(member)) << member;
  }
  const Json& evidence = cpu["ear.veraison.annotated-evidence"];
  EXPECT_EQ(evidence["runtime_data_claims"],
            (Json{{"additional-evidence", ""},
                  {"nonce", nonce},
                  {"tee-pubkey", *jose::to_tee_pubkey(key.public_key())}}));
  EXPECT_EQ(evidence["report_data"].get<std::string>().size(), 128U);
}

// Trustee's client authenticates not the header that it received but one that it writes itself:
// compact, alg, enc, and the rest sorted.
TEST_F(Wire, AResourceIsAJweThatTrusteesClientOpens) {
  for (const auto type : {jose::KeyType::kEcP256, jose::KeyType::kEcP521, jose::KeyType::kRsa}) {
    const auto key = *jose::PrivateKey::generate(type);
    const auto cookie = session(key);
    for (const auto& who : {cookie, "authorization: Bearer " + token_ + "\r\n"}) {
      const auto reply = send(*kbs_, "GET /kbs/v0/resource/default/key/1", who);
      EXPECT_EQ(reply.status, "HTTP/1.1 200 OK") << reply.body;
      EXPECT_EQ(reply.header("content-type"), "application/json");
      EXPECT_THAT(reply.body,
                  MatchesRegex(R"(\{"protected":"[A-Za-z0-9_-]+","encrypted_key":"[A-Za-z0-9_-]+",)"
                               R"("iv":"[A-Za-z0-9_-]{16}","ciphertext":"[A-Za-z0-9_-]+",)"
                               R"("tag":"[A-Za-z0-9_-]{22}"\})"));
      const auto jwe = jose::parse_jwe(reply.body);
      ASSERT_TRUE(jwe);
      const std::string header(as_text(*from_base64url(jwe->protected_header)));
      const Json parsed = Json::parse(header);
      std::string rewritten = R"({"alg":)" + parsed["alg"].dump() + R"(,"enc":"A256GCM")";
      for (const auto& [name, value] : parsed.items()) {
        if (name != "alg" && name != "enc") rewritten += ",\"" + name + "\":" + value.dump();
      }
      EXPECT_EQ(rewritten + "}", header);
      EXPECT_EQ(as_text(jose::decrypt_jwe(key, *jwe)->view()), "the secret");
    }
  }
}

TEST_F(Wire, InitDataComesAsTextAndItsDigestIsComputedHere) {
  const std::string toml = "version = \"0.1.0\"\nalgorithm = \"sha384\"\n[data]\n\"a\" = \"b\"\n";
  source_.change = [&](snp::Report& report) {
    const auto digest = tee::sha384(as_bytes(toml));
    std::copy_n(digest.begin(), 32, report.host_data.begin());
  };
  const auto key = *jose::PrivateKey::generate(jose::KeyType::kEcP256);
  const auto begun = auth();
  const auto nonce = Json::parse(begun.body)["nonce"].get<std::string>();
  const std::string init = R"({"format":"toml","body":)" + Json(toml).dump() + "}";
  const auto reply =
      send(*kbs_, "POST /kbs/v0/attest", cookie_of(begun), attestation(nonce, key, init));
  EXPECT_EQ(reply.status, "HTTP/1.1 200 OK") << reply.body;
}

TEST_F(Wire, ErrorsAreTrusteesErrorInformation) {
  const auto key = *jose::PrivateKey::generate(jose::KeyType::kEcP256);
  const auto old = auth("\"\"", "0.1.0");
  expect_error(old, "401 Unauthorized", "AttestationError", "got '0.1.0', want '0.4.0'");
  EXPECT_EQ(Json::parse(old.body)["supported-versions"], Json::array({"0.4.0"}));

  const auto nonce = Json::parse(auth().body)["nonce"].get<std::string>();
  const std::string body = attestation(nonce, key);
  expect_error(send(*kbs_, "POST /kbs/v0/attest", "", body), "401 Unauthorized", "AttestationError",
               "there is no cookie kbs-session-id");
  expect_error(send(*kbs_, "POST /kbs/v0/attest",
                    "cookie: kbs-session-id=0f8fad5bd9cb469fa16570867728950e\r\n", body),
               "401 Unauthorized", "AttestationError", "none of ours");
  expect_error(send(*kbs_, "POST /kbs/v0/attest", cookie_of(auth()), body), "401 Unauthorized",
               "AttestationError", "nonce is not the one of this session");

  expect_error(send(*kbs_, "GET /kbs/v0/resource/default/key/1"), "401 Unauthorized",
               "TokenNotFound", "attest first");
  expect_error(send(*kbs_, "GET /kbs/v0/resource/default/key/1", "authorization: Bearer a.b.c\r\n"),
               "401 Unauthorized", "TokenVerifierError", "");
  const auto cookie = session(key);
  expect_error(send(*kbs_, "GET /kbs/v0/resource/default/key/none", cookie), "404 Not Found",
               "PluginInternalError", "there is none");
  expect_error(send(*kbs_, "GET /kbs/v0/resource/default/key", cookie), "404 Not Found",
               "InvalidRequestPath", "");
  expect_error(send(*kbs_, "GET /elsewhere", cookie), "404 Not Found", "InvalidRequestPath", "");
  expect_error(send(*kbs_, "POST /kbs/v0/resource/default/key/1", "", "x"), "401 Unauthorized",
               "AdminAuthAccess", "Authorization");
  expect_error(send(*kbs_, "POST /metrics", "", "x"), "405 Method Not Allowed", "HTTPFailed", "");
}

TEST_F(Wire, ARefusedGuestLearnsWhyAndUnderWhichNumber) {
  source_.change = [](snp::Report& report) { report.measurement.fill(0xab); };
  const auto key = *jose::PrivateKey::generate(jose::KeyType::kEcP256);
  const auto reply = send(*kbs_, "GET /kbs/v0/resource/default/key/1", session(key));
  expect_error(reply, "403 Forbidden", "PolicyDeny", "Access denied by policy: cpu0 is warning");
  EXPECT_THAT(reply.body, MatchesRegex(R"(.*,"attestation-id":"[0-9a-f]{24}"\})"));
}

TEST_F(Wire, WhatGoesWrongInsideAGuestIsNotTold) {
  ASSERT_EQ(kbs_->set_resource_policy("package policy\nimport rego.v1\n"
                                      "allow := \"secret rule\" if input.iss\n"
                                      "allow := \"another rule\" if input.iss\n")
                .status,
            200);
  const auto key = *jose::PrivateKey::generate(jose::KeyType::kEcP256);
  const auto reply = send(*kbs_, "GET /kbs/v0/resource/default/key/1", session(key));
  expect_error(reply, "500 Internal Server Error", "PolicyEngineError", "its log says why");
  EXPECT_EQ(reply.body.find("rego"), std::string::npos) << reply.body;
}

TEST_F(Wire, HealthIsEmptyAndMetricsAreText) {
  const auto health = send(*kbs_, "GET /healthz");
  EXPECT_EQ(health.status, "HTTP/1.1 200 OK");
  EXPECT_EQ(health.body, "");
  EXPECT_THAT(send(*kbs_, "GET /metrics").header("content-type"), StartsWith("text/plain"));
}

}  // namespace
}  // namespace coffer
