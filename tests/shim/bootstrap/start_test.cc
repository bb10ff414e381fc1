#include "shim/bootstrap/start.h"

#include <gtest/gtest.h>

#include "rpc/protos/bootstrap.pb.h"
#include "rpc/protos/runtime_options.pb.h"

namespace coffer::shim {
namespace {

ShimOptions options() {
  ShimOptions made;
  made.id = "box";
  made.containerd_namespace = "k8s.io";
  return made;
}

std::string bootstrap_params(const std::string& id, const std::string& socket_dir) {
  containerd::runtime::bootstrap::v1::BootstrapParams params;
  params.set_instance_id(id);
  params.set_namespace_("k8s.io");
  if (!socket_dir.empty()) params.set_socket_dir(socket_dir);
  return params.SerializeAsString();
}

TEST(Start, AnswersContainerd16WithTheBareAddress) {
  const auto request = read_start_request("", options(), false);
  EXPECT_EQ(request.form, AnswerForm::kBareAddress);
  EXPECT_EQ(request.socket_dir, "/run/containerd/s");
  EXPECT_EQ(format_answer(request.form, "unix:///x"), "unix:///x");
}

TEST(Start, AnswersContainerd17WithJson) {
  const auto request = read_start_request("", options(), true);
  EXPECT_EQ(request.form, AnswerForm::kJsonVersion3);
  EXPECT_EQ(format_answer(request.form, "unix:///x"),
            R"({"version":3,"address":"unix:///x","protocol":"ttrpc"})");
}

TEST(Start, TakesTheSocketFolderFromBootstrapParams) {
  const auto request = read_start_request(bootstrap_params("box", "/run/other"), options(), false);
  EXPECT_EQ(request.form, AnswerForm::kJsonVersion3);
  EXPECT_EQ(request.socket_dir, "/run/other");
}

TEST(Start, PassesOverBootstrapParamsOfAnotherTask) {
  const auto request =
      read_start_request(bootstrap_params("other", "/run/other"), options(), false);
  EXPECT_EQ(request.form, AnswerForm::kBareAddress);
  EXPECT_EQ(request.socket_dir, "/run/containerd/s");
}

TEST(Start, PassesOverRuntimeOptionsAndGarbage) {
  runtimeoptions::v1::Options runtime;
  runtime.set_config_path("/etc/x.toml");
  google::protobuf::Any any;
  any.set_type_url("runtimeoptions.v1.Options");
  any.set_value(runtime.SerializeAsString());
  EXPECT_EQ(read_start_request(any.SerializeAsString(), options(), true).form,
            AnswerForm::kJsonVersion3);
  EXPECT_EQ(read_start_request("\xff\xff\xff", options(), false).form, AnswerForm::kBareAddress);
}

}  // namespace
}  // namespace coffer::shim
