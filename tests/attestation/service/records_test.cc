#include "attestation/service/records.h"

#include <gtest/gtest.h>

#include <set>

#include "base/json.h"
#include "tests/attestation/store/scratch_store.h"

namespace coffer::appraisal {
namespace {

using Json = nlohmann::json;

constexpr tee::UnixTime kNow = 1'800'000'000;
constexpr bool kToken = true;
constexpr bool kRefused = false;

class RecordsTest : public ::testing::Test {
 protected:
  // The `second`th attestation of a test; its id.
  static std::string save(Records& records, int second, bool token, Draft draft = {}) {
    draft.id = Records::new_id(kNow + second);
    draft.time = kNow + second;
    draft.token = token;
    if (draft.status.empty()) draft.status = "affirming";
    EXPECT_TRUE(records.save(draft, kNow));
    return draft.id;
  }
  static std::vector<std::string> ids(Records& records) {
    std::vector<std::string> out;
    const auto listed = records.list(1000);
    for (const auto& line : *listed) out.push_back(line["id"]);
    return out;
  }

  const testing::ScratchStore store_{{.clock = [] { return kNow; }}};
};

TEST_F(RecordsTest, ListsRefusedAndGrantedTogetherNewestFirst) {
  Records records(*store_, 100);
  const auto first = save(records, 1, kToken);
  const auto second = save(records, 2, kRefused);
  const auto third = save(records, 3, kToken);
  EXPECT_EQ(ids(records), (std::vector{third, second, first}));
  EXPECT_EQ(records.list(2)->size(), 2U);
  EXPECT_EQ((*records.load(second))["outcome"], "refused");
}

TEST_F(RecordsTest, OverTheLimitTheOldestRefusedGoFirst) {
  Records records(*store_, 100, 20);  // so small a limit is looked after at each record
  std::vector<std::string> granted, refused;
  for (int i = 0; i < 10; ++i) granted.push_back(save(records, i, kToken));
  for (int i = 10; i < 25; ++i) refused.push_back(save(records, i, kRefused));
  auto left = ids(records);
  ASSERT_EQ(left.size(), 20U);
  EXPECT_EQ(left.front(), refused.back());
  EXPECT_EQ(left[9], refused[5]) << "the five oldest refused ones went";
  EXPECT_EQ(left.back(), granted.front());
  for (int i = 25; i < 45; ++i) granted.push_back(save(records, i, kToken));
  left = ids(records);
  ASSERT_EQ(left.size(), 20U);
  const std::set<std::string> kept(left.begin(), left.end());
  EXPECT_TRUE(kept.contains(refused[14]) && kept.contains(refused[13])) << "a tenth is theirs";
  EXPECT_FALSE(kept.contains(refused[12]));
  EXPECT_FALSE(kept.contains(granted[11]));
  EXPECT_TRUE(kept.contains(granted[12]));
}

TEST_F(RecordsTest, AFloodOfRefusedOnesStaysBoundedByTheLimitAndAThirtySecond) {
  Records records(*store_, 100, 320);
  for (int i = 0; i < 1000; ++i) save(records, i, kRefused);
  EXPECT_LE(*store_->count("attestation_refused"), 330U);
  EXPECT_GE(*store_->count("attestation_refused"), 320U);
}

TEST_F(RecordsTest, WhatAStrangerMakesLargeIsLeftOut) {
  Records records(*store_, 100);
  const std::string large(100'000, 'x');
  const auto claims =
      *records.load(save(records, 1, kRefused, {.claims = dump_json({{"a", large}})}));
  EXPECT_NE(claims["claims"].get<std::string>().find("left out"), std::string::npos);
  const auto granted =
      *records.load(save(records, 2, kToken, {.claims = dump_json({{"a", large}})}));
  EXPECT_EQ(granted["claims"]["a"], large);
  const auto reason = *records.load(
      save(records, 3, kRefused, {.tee = "snp", .reason = large, .checks = dump_json({large})}));
  EXPECT_EQ(reason["reason"].get<std::string>().size(), 4096U);
  EXPECT_EQ(reason["tee"], "snp");
  EXPECT_TRUE(reason["checks"].empty());
  EXPECT_NE(reason["note"].get<std::string>().find("left out"), std::string::npos);
}

TEST_F(RecordsTest, KeepsTheLatestDecisionOfEachPathAndNotOneARequest) {
  Records records(*store_, 100);
  const auto id = save(records, 1, kToken);
  for (int i = 0; i < 50; ++i) {
    const Json denied = {{"path", "a/b/c"}, {"allowed", false}, {"time", i}};
    ASSERT_TRUE(records.add_resource(id, denied, true, kNow));
  }
  ASSERT_TRUE(records.add_resource(id, {{"path", "a/b/c"}, {"allowed", true}}, true, kNow));
  const auto resources = (*records.load(id))["resources"];
  ASSERT_EQ(resources.size(), 2U);
  for (const auto& entry : resources) {
    if (entry["allowed"] == false) {
      EXPECT_EQ(entry["time"], 49);
    }
  }
}

// 40 paths, of which two would nearly always have shared one of 256 places.
TEST_F(RecordsTest, NoDecisionTakesThePlaceOfAnotherPaths) {
  Records records(*store_, 100);
  const auto id = save(records, 1, kToken);
  std::set<std::string> paths;
  for (int i = 0; i < 40; ++i) {
    paths.insert("a/b/" + std::to_string(i));
    ASSERT_TRUE(records.add_resource(id, {{"path", "a/b/" + std::to_string(i)}, {"allowed", false}},
                                     true, kNow));
  }
  std::set<std::string> kept;
  const auto record = *records.load(id);
  for (const auto& entry : record["resources"]) kept.insert(entry["path"].get<std::string>());
  EXPECT_EQ(kept, paths);
}

TEST_F(RecordsTest, AFloodOfDecisionsIsBoundedAndHidesNothingThatWasAllowed) {
  Records records(*store_, 100);
  const auto id = save(records, 1, kToken);
  const auto add = [&](int i, bool allowed) {
    const Json decision = {{"path", "a/b/" + std::to_string(i)}, {"allowed", allowed}};
    ASSERT_TRUE(records.add_resource(id, decision, true, kNow));
  };
  for (int i = 0; i < 300; ++i) add(i, false);
  add(7, false);
  for (int i = 0; i < 300; ++i) add(i, true);
  EXPECT_EQ(*store_->count("attestation_resource"), 2 * 129U);
  int allowed = 0;
  std::vector<std::string> over;
  const auto record = *records.load(id);
  for (const auto& entry : record["resources"]) {
    if (entry["allowed"] == true) ++allowed;
    if (entry.contains("note")) over.push_back(entry["path"]);
  }
  EXPECT_EQ(allowed, 129);
  EXPECT_EQ(over, (std::vector<std::string>{"a/b/299", "a/b/299"}));
}

// A stranger's evidence may verify: a TPM in software makes some.
TEST_F(RecordsTest, WhoIsNotAffirmedPushesOutNobodyWhoIs) {
  Records records(*store_, 100, 20);
  std::vector<std::string> affirmed;
  for (int i = 0; i < 15; ++i) {
    affirmed.push_back(save(records, i, kToken));
    const Json read = {{"path", "a/b/c"}, {"allowed", true}};
    ASSERT_TRUE(records.add_resource(affirmed.back(), read, true, kNow));
  }
  for (int i = 15; i < 115; ++i) {
    const auto id = save(records, i, kToken, {.status = "warning"});
    const Json denied = {{"path", "a/b/c"}, {"allowed", false}};
    ASSERT_TRUE(records.add_resource(id, denied, false, kNow));
    EXPECT_EQ((*records.load(id))["resources"].size(), 1U);
  }
  EXPECT_LE(ids(records).size(), 20U);
  for (const auto& id : affirmed) {
    const auto record = records.load(id);
    ASSERT_TRUE(record) << record.error().to_string();
    EXPECT_EQ((*record)["resources"].size(), 1U);
  }
  EXPECT_LE(*store_->count("attestation_resource_refused"), 9U) << "a tenth of four for each";
}

}  // namespace
}  // namespace coffer::appraisal
