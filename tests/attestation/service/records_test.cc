#include "attestation/service/records.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/attestation/store/scratch_store.h"

namespace coffer::appraisal {
namespace {

using Json = nlohmann::json;

constexpr tee::UnixTime kNow = 1'800'000'000;

class RecordsTest : public ::testing::Test {
 protected:
  // The `second`th attestation of a test; its id.
  static std::string save(Records& records, int second, const char* outcome, Json more = {}) {
    const auto id = Records::new_id(kNow + second);
    Record record = {{"id", id}, {"outcome", outcome}, {"reason", ""}};
    record.update(more.is_object() ? more : Json::object());
    EXPECT_TRUE(records.save(id, record, kNow));
    return id;
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
  const auto first = save(records, 1, "token");
  const auto second = save(records, 2, "refused");
  const auto third = save(records, 3, "token");
  EXPECT_EQ(ids(records), (std::vector{third, second, first}));
  EXPECT_EQ(records.list(2)->size(), 2U);
  EXPECT_EQ((*records.load(second))["outcome"], "refused");
}

TEST_F(RecordsTest, OverTheLimitTheOldestRefusedGoFirst) {
  Records records(*store_, 100, 20);  // so small a limit is looked after at each record
  std::vector<std::string> granted, refused;
  for (int i = 0; i < 10; ++i) granted.push_back(save(records, i, "token"));
  for (int i = 10; i < 25; ++i) refused.push_back(save(records, i, "refused"));
  auto left = ids(records);
  ASSERT_EQ(left.size(), 20U);
  EXPECT_EQ(left.front(), refused.back());
  EXPECT_EQ(left[9], refused[5]) << "the five oldest refused ones went";
  EXPECT_EQ(left.back(), granted.front());
  for (int i = 25; i < 45; ++i) granted.push_back(save(records, i, "token"));
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
  for (int i = 0; i < 1000; ++i) save(records, i, "refused");
  EXPECT_LE(*store_->count("attestation_refused"), 330U);
  EXPECT_GE(*store_->count("attestation_refused"), 320U);
}

TEST_F(RecordsTest, WhatAStrangerMakesLargeIsLeftOut) {
  Records records(*store_, 100);
  const std::string large(100'000, 'x');
  const auto claims = *records.load(save(records, 1, "refused", {{"claims", {{"a", large}}}}));
  EXPECT_NE(claims["claims"].get<std::string>().find("left out"), std::string::npos);
  const auto granted = *records.load(save(records, 2, "token", {{"claims", {{"a", large}}}}));
  EXPECT_EQ(granted["claims"]["a"], large);
  const auto reason = *records.load(
      save(records, 3, "refused", {{"reason", large}, {"checks", {large}}, {"tee", "snp"}}));
  EXPECT_EQ(reason["reason"].get<std::string>().size(), 4096U);
  EXPECT_EQ(reason["tee"], "snp");
  EXPECT_TRUE(reason["checks"].empty());
  EXPECT_NE(reason["note"].get<std::string>().find("left out"), std::string::npos);
}

TEST_F(RecordsTest, KeepsTheLatestDecisionOfEachPathAndNotOneARequest) {
  Records records(*store_, 100);
  const auto id = save(records, 1, "token");
  for (int i = 0; i < 50; ++i) {
    const Json denied = {{"path", "a/b/c"}, {"allowed", false}, {"time", i}};
    ASSERT_TRUE(records.add_resource(id, denied, kNow));
  }
  ASSERT_TRUE(records.add_resource(id, {{"path", "a/b/c"}, {"allowed", true}}, kNow));
  const auto resources = (*records.load(id))["resources"];
  ASSERT_EQ(resources.size(), 2U);
  for (const auto& entry : resources) {
    if (entry["allowed"] == false) {
      EXPECT_EQ(entry["time"], 49);
    }
  }
  for (int i = 0; i < 2000; ++i) {
    const Json denied = {{"path", "a/b/" + std::to_string(i)}, {"allowed", false}};
    ASSERT_TRUE(records.add_resource(id, denied, kNow));
  }
  EXPECT_LE(*store_->count("attestation_resource"), 256U);
}

}  // namespace
}  // namespace coffer::appraisal
