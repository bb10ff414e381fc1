#include "tee/emulator/guest_file.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tee/emulator/snp_guest.h"
#include "tee/sev-snp/verify.h"

namespace coffer::emulator {
namespace {

using nlohmann::json;

const std::string& made(std::string_view tee) {
  static std::map<std::string, std::string, std::less<>> cache;
  auto at = cache.find(tee);
  if (at == cache.end()) {
    const auto files = make_guest(tee, 1000, 2000);
    EXPECT_TRUE(files) << files.error().to_string();
    at = cache.emplace(tee, as_text(files->front().content)).first;
  }
  return at->second;
}

TEST(GuestFile, IsLoadedAsItWasMade) {
  EXPECT_EQ((*load_guest(made("snp")))->provider(), "sev_guest");
  EXPECT_EQ((*load_guest(made("tdx")))->provider(), "tdx_guest");
  EXPECT_FALSE(make_guest("sgx", 0, 1));
}

TEST(GuestFile, TheLaunchShowsInTheReport) {
  auto file = json::parse(made("snp"));
  file["launch"] = {{"report_version", 5},
                    {"measurement", std::string(96, 'a')},
                    {"host_data", std::string(64, 'b')},
                    {"family_id", std::string(32, '1')},
                    {"image_id", std::string(32, '2')},
                    {"id_key_digest", std::string(96, '3')},
                    {"author_key_digest", std::string(96, '4')},
                    {"policy", "0xb0000"},
                    {"guest_svn", 7}};
  const auto guest = load_guest(file.dump());
  ASSERT_TRUE(guest) << guest.error().to_string();
  const auto answer = (*guest)->report(Bytes(64, 9), 2);
  ASSERT_TRUE(answer);
  const auto report = snp::parse_report(answer->outblob);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->version, 5U);
  EXPECT_EQ(to_hex(report->measurement), std::string(96, 'a'));
  EXPECT_EQ(to_hex(report->host_data), std::string(64, 'b'));
  EXPECT_EQ(to_hex(report->author_key_digest), std::string(96, '4'));
  EXPECT_TRUE(report->key_info.author_key_en());
  EXPECT_EQ(report->policy.raw, 0xB0000U);
  EXPECT_EQ(report->guest_svn, 7U);
  EXPECT_EQ(report->vmpl, 2U);
  EXPECT_EQ(report->report_data[63], 9);
}

TEST(GuestFile, WhatItDoesNotKnowIsNamed) {
  const auto refused = [](auto change) -> std::string {
    auto file = json::parse(made("snp"));
    change(file);
    const auto guest = load_guest(file.dump());
    return guest ? "" : guest.error().to_string();
  };
  const auto names = [](const std::string& text, std::string_view what) {
    return text.contains(what);
  };
  EXPECT_TRUE(names(refused([](json& f) { f["launch"]["measurment"] = ""; }), "measurment"));
  EXPECT_TRUE(names(refused([](json& f) { f["launch"]["host_data"] = "00"; }), "host_data"));
  EXPECT_TRUE(names(refused([](json& f) { f["launch"]["policy"] = -1; }), "policy"));
  EXPECT_TRUE(names(refused([](json& f) { f["launch"]["policy"] = "3"; }), "policy"));
  EXPECT_TRUE(names(refused([](json& f) { f["launch"]["report_version"] = 6; }), "6"));
  EXPECT_TRUE(names(refused([](json& f) { f["launch"] = 1; }), "launch"));
  EXPECT_TRUE(names(refused([](json& f) { f["tee"] = "sgx"; }), "tee"));
  EXPECT_TRUE(names(refused([](json& f) { f["x"] = 1; }), "'x'"));
  EXPECT_TRUE(names(refused([](json& f) { f["pki"].erase("chip_id"); }), "chip_id"));
  EXPECT_FALSE(load_guest(""));
  EXPECT_FALSE(load_guest("[]"));
}

TEST(TdxGuest, ARegisterIsExtendedAndShowsInTheNextQuote) {
  auto guest = *load_guest(made("tdx"));
  const std::string name = "rtmr3:sha384";
  EXPECT_EQ(*guest->measurement(name), Bytes(48));
  ASSERT_TRUE(guest->extend(name, Bytes(48, 5)));
  const Bytes value = *guest->measurement(name);
  Bytes both(48);
  both.resize(96, 5);
  const auto want = tee::sha384(both);
  EXPECT_EQ(value, Bytes(want.begin(), want.end()));
  const auto answer = guest->report(Bytes(64, 1), 0);
  ASSERT_TRUE(answer);
  EXPECT_FALSE(std::ranges::search(answer->outblob, value).empty());
  EXPECT_FALSE(guest->extend("rtmr1:sha384", Bytes(48)));
  EXPECT_FALSE(guest->extend(name, Bytes(47)));
}

}  // namespace
}  // namespace coffer::emulator
