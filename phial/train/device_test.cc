#include "phial/train/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace phial::train {
namespace {

using testing::HasSubstr;

Result<at::Device> opened(const std::string& wanted, int processes = 1) {
  RunConfig config;
  config.device = wanted;
  config.world.size = processes;
  return open_device(config);
}

TEST(Device, TheCpuIsThereWhereItIsNamedOrNothingElseIs) {
  EXPECT_EQ(*opened("cpu"), at::Device(at::kCPU));
  EXPECT_TRUE(opened("auto"));
  EXPECT_EQ(*opened("auto", 2), at::Device(at::kCPU));
  EXPECT_EQ(device_name(at::kCPU), "");
}

TEST(Device, AnImpossibleChoiceIsAnErrorWithTheRemedy) {
  const auto several = opened("cuda", 2);
  ASSERT_FALSE(several);
  EXPECT_THAT(several.error().text(), HasSubstr("train.device is cuda, but "));
  EXPECT_THAT(several.error().text(), HasSubstr("or leave train.device away"));
}

TEST(Device, WhatIsThereAlreadyIsNotMoved) {
  const at::Tensor values = at::ones({3});
  EXPECT_TRUE(moved(values, at::kCPU).is_same(values));
}

}  // namespace
}  // namespace phial::train
