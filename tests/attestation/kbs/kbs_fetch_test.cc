// A running coffer-kbs that fetches what evidence lacks, from a key service on 127.0.0.1.

#include <gtest/gtest.h>

#include <memory>

#include "attestation/client/kbs_client.h"
#include "tests/attestation/endorsements/local_service.h"
#include "tests/attestation/kbs/running_kbs.h"
#include "tests/attestation/kbs/snp_source.h"

namespace coffer {
namespace {

using testing::amd;
using testing::LocalService;
using testing::RunningKbs;
using testing::SnpSource;

LocalService::Answer answer(const std::string& target) {
  if (target.ends_with("/cert_chain")) {
    return {
        .status = 200,
        .body = emulator::pem_certificate(amd().ask()) + emulator::pem_certificate(amd().ark())};
  }
  if (!target.starts_with("/vcek/v1/Milan/")) return {};
  return {.status = 200, .body = std::string(as_text(amd().vcek()))};
}

Result<std::string> attest(const RunningKbs& kbs, SnpSource& source) {
  client::KbsSettings settings;
  settings.url = kbs.url();
  settings.http.tls.ca_pem = kbs.certificate();
  settings.handshake_attempts = 1;
  auto guest = client::KbsClient::make(std::move(settings), source);
  check(guest.has_value(), "make a client");
  return guest->attest();
}

TEST(KbsFetch, AGuestWithoutCertificatesIsVerifiedAndTheNetworkIsNeededOnce) {
  auto service = std::make_unique<LocalService>(answer);
  const auto kbs =
      RunningKbs::start(testing::trust() + "snp_kds_url = \"" + service->url() + "/\"\n");
  SnpSource source;
  source.bare = true;
  for (int i = 0; i < 3; ++i) {
    const auto token = attest(*kbs, source);
    ASSERT_TRUE(token) << token.error().to_string();
  }
  EXPECT_EQ(service->count("/"), 2U) << "the leaf, and the chain above it";
  service->stop();
  kbs->restart();
  const auto token = attest(*kbs, source);
  EXPECT_TRUE(token) << token.error().to_string();
}

TEST(KbsFetch, AServiceThatCannotBeReachedIsNoRefusal) {
  auto service = std::make_unique<LocalService>(answer);
  const auto kbs =
      RunningKbs::start(testing::trust() + "snp_kds_url = \"" + service->url() + "\"\n");
  service->stop();
  SnpSource source;
  source.bare = true;
  const auto token = attest(*kbs, source);
  ASSERT_FALSE(token);
  EXPECT_NE(token.error().to_string().find("503"), std::string::npos) << token.error().to_string();
  EXPECT_EQ(token.error().to_string().find(service->url()), std::string::npos)
      << "where the broker fetches from is not a guest's to know: " << token.error().to_string();
  source.bare = false;
  EXPECT_TRUE(attest(*kbs, source)) << "nothing is fetched for a guest that brings them";
}

TEST(KbsFetch, UnlessConfiguredNothingIsFetchedAndTheRecordSaysWhatLacks) {
  const auto kbs = RunningKbs::start(testing::trust());
  SnpSource source;
  source.bare = true;
  EXPECT_FALSE(attest(*kbs, source));
  const auto list = kbs->admin("GET", "/kbs/v0/attestations").json();
  ASSERT_EQ(list.size(), 1U);
  EXPECT_NE(list[0]["reason"].get<std::string>().find("chain.leaf"), std::string::npos)
      << list.dump();
}

}  // namespace
}  // namespace coffer
