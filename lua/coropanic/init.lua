return require "coropanic.core"
